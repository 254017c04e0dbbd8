import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'

const guest = join(import.meta.dirname, '../../../guest')

export const localKey = '00112233445566778899aabbccddeeff'

export interface LocalAgent {
  readonly socketPath: string
  readonly key: string
  /** A directory of the test's own. */
  readonly directory: string
  /** Undefined while it lives. */
  readonly death: () => string | undefined
  /** What it and its children said on stderr: the sanitizers' findings, for one. */
  readonly complaints: () => string
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Runs the guest's agent on this host, serving a unix socket instead of a machine's port: the same program, without a VM.
 *
 * @param checked with address and undefined-behaviour sanitizers; it then lives in an empty root as nobody, where hostile frames break nothing
 */
export async function startLocalAgent({ checked = false }: { checked?: boolean } = {}): Promise<LocalAgent> {
  const program = await buildAgent(checked ? 'cowshed-agent-checked' : 'cowshed-agent')
  const directory = await temporaryDirectory()
  const socketPath = join(directory.path, 'agent.sock')
  const jail = checked ? ['--jail', directory.path] : []
  const child = spawn(program, ['--listen', socketPath, '--key', localKey, ...jail], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let complaints = ''
  child.stderr.on('data', (chunk: Buffer) => {
    complaints = (complaints + chunk.toString()).slice(0, 10_000)
  })
  let death: string | undefined
  const gone = new Promise<void>((resolve) => {
    child.on('exit', (code, signal) => {
      death = `exit ${code ?? signal}: ${complaints}`
      resolve()
    })
  })
  // It says so when it listens.
  await Promise.race([once(child.stdout, 'data'), gone])
  return {
    socketPath,
    key: localKey,
    directory: directory.path,
    death: () => death,
    complaints: () => complaints,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await gone
      await directory[Symbol.asyncDispose]()
    },
  }
}

/** The program itself: static, so that it can be put anywhere as something to run. */
export function agentProgram(): Promise<string> {
  return buildAgent('cowshed-agent')
}

const builds = new Map<string, Promise<string>>()

function buildAgent(name: string): Promise<string> {
  const path = join(guest, 'build', name)
  const build = builds.get(name) ?? promisify(execFile)('make', ['-s', '-C', guest, `build/${name}`]).then(() => path)
  builds.set(name, build)
  return build
}
