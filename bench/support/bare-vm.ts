import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isProblem } from '../../src/base/index.ts'
import type { Shed } from '../../src/contract/index.ts'
import { type AgentConnection, connectAgent } from '../../src/wires/index.ts'
import type { BenchDaemon } from './bench-daemon.ts'

/** How to start QEMU as cowshed has started it. */
export interface BareVmRecipe {
  readonly command: string
  readonly args: readonly string[]
  readonly upperTemplate: string
  /** What is this shed's alone, and is not to be shared with it: its words of the command line. */
  readonly own: { readonly directory: string; readonly sockets: string; readonly key: string }
}

export interface BareVm extends AsyncDisposable {
  readonly agent: AgentConnection
}

/** Reads the command line of a running shed's QEMU: kernel, initrd, disks, devices and all arguments are then the very same. */
export async function recipeOf(daemon: BenchDaemon, name: string): Promise<BareVmRecipe> {
  const { pid, id, upper_bytes } = (await daemon.call<Shed>('GET', `/api/sheds/${name}`)) as Shed
  const [command = '', ...args] = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').slice(0, -1)
  const line = args.join(' ')
  const key = /cowshed\.key=([0-9a-f]{32})/.exec(line)?.[1]
  const sockets = new RegExp(`path=(\\S*/${id})\\.agent`).exec(line)?.[1]
  if (key === undefined || sockets === undefined) throw new Error(`not the command line of a shed: ${line}`)
  const { layout } = daemon
  return {
    command,
    args,
    upperTemplate: layout.upperTemplate(upper_bytes),
    own: { directory: layout.shed(name).dir, sockets, key },
  }
}

/**
 * Starts QEMU alone, with a fresh upper that has been made before.
 *
 * @param directory for its disk and its sockets, short; must not be there
 * @returns how to start it, up to an agent that is ready
 */
export async function prepareBareVm(recipe: BareVmRecipe, directory: string): Promise<() => Promise<BareVm>> {
  await mkdir(directory, { mode: 0o700 })
  const key = randomBytes(16).toString('hex')
  const { own } = recipe
  const args = recipe.args.map((arg) =>
    arg.replaceAll(own.directory, directory).replaceAll(own.sockets, join(directory, 's')).replaceAll(own.key, key),
  )
  await copyFile(recipe.upperTemplate, join(directory, 'upper.ext4'))
  return async () => {
    const child = spawn(recipe.command, args, { stdio: 'ignore' })
    try {
      const agent = await agentOf(join(directory, 's.agent'), key)
      return { agent, [Symbol.asyncDispose]: () => end(child, directory) }
    } catch (error) {
      await end(child, directory)
      throw error
    }
  }
}

/** Runs a program as the daemon does for a shed of the bench's image, and reads what it prints to the end. @returns its exit code */
export async function execStraight(agent: AgentConnection, argv: readonly string[]): Promise<number> {
  const exec = await agent.exec({
    argv,
    env: { PATH: '/bin', FROM_IMAGE: 'yes' },
    cwd: '/srv',
    user: '0',
    stdin: false,
  })
  const [{ code }] = await Promise.all([exec.exit, drain(exec.stdout), drain(exec.stderr)])
  return code
}

async function drain(source: AsyncIterable<Buffer>): Promise<void> {
  for await (const _chunk of source);
}

/** The socket is there as soon as QEMU is up. */
async function agentOf(socketPath: string, key: string): Promise<AgentConnection> {
  const deadline = Date.now() + 120_000
  for (;;) {
    try {
      const agent = await connectAgent({ socketPath, key, timeoutMs: 120_000 })
      await agent.ready
      return agent
    } catch (error) {
      if (!isProblem(error, 'AGENT_UNREACHABLE') || Date.now() > deadline) throw error
      await sleep(2)
    }
  }
}

async function end(child: ChildProcess, directory: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  await rm(directory, { recursive: true, force: true })
}
