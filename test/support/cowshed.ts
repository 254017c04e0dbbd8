import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { type DataLayout, dataLayout } from '../../src/base/index.ts'
import { isListening } from '../../src/cli/client/is-listening.ts'
import type { Shed } from '../../src/contract/index.ts'
import { ramDirectoryPath, runDirectoryPath } from '../../src/daemon/run-directory.ts'
import { processStartTime } from '../../src/host/index.ts'
import { sweepVmCgroups } from '../../src/machines/index.ts'
import { ensureBuilt } from './build.ts'
import { testKernel } from './kernel.ts'
import { processesWithFilesBelow } from './processes-with-files.ts'
import { type CommandResult, runHere } from './run-here.ts'

/** bin/cowshed, for node. */
export const launcher = join(import.meta.dirname, '../../bin/cowshed')

export type { CommandResult }

/**
 * A data directory of its own with the real program over it, as a user runs it: the CLI, a daemon in the background, real VMs.
 *
 *     await using cowshed = await openCowshed()
 *     await cowshed.ok('create', 'web', '--image', 'mini')
 *
 * Its end checks that nothing was leaked: no VM, no daemon, no mount, no socket.
 */
export async function openCowshed(options: OpenCowshed = {}): Promise<Cowshed> {
  await ensureBuilt()
  const parent = await mkdtemp('/tmp/cs-')
  const data = options.data ?? join(parent, 'd')
  const cowshed = new Cowshed(parent, dataLayout(data), options)
  if (options.kernel !== false) {
    const { id, vmlinuz } = await testKernel()
    await cp(dirname(vmlinuz), cowshed.layout.kernel(id).dir, { recursive: true })
    await writeFile(cowshed.layout.currentKernel, `${id}\n`)
  }
  return cowshed
}

export interface RunWith {
  readonly input?: string | Buffer
  readonly env?: Readonly<Record<string, string>>
}

export interface OpenCowshed {
  /** Another place for the data directory: a small filesystem, say. */
  readonly data?: string
  /** Without it the data directory has no guest kernel. */
  readonly kernel?: false
  /** Every command is a process of its own, bin/cowshed: for tests of what a user sees of the program. It takes a tenth of a second each. */
  readonly processes?: true
}

export class Cowshed implements AsyncDisposable {
  readonly layout: DataLayout
  readonly #env = { COWSHED_DATA: undefined, NO_COLOR: '1' }
  readonly #parent: string
  readonly #processes: boolean

  constructor(parent: string, layout: DataLayout, { processes }: OpenCowshed) {
    this.#parent = parent
    this.#processes = processes === true
    this.layout = layout
  }

  /** Runs a command to its end. */
  async run(...args: string[]): Promise<CommandResult> {
    return await this.runWith({}, ...args)
  }

  async runWith({ input = '', env }: RunWith, ...args: string[]): Promise<CommandResult> {
    // A daemon that it starts has its environment.
    if (this.#processes || env !== undefined || args.slice(0, 2).includes('serve'))
      return await this.#spawn(input, env ?? {}, args)
    const words = ['--data', this.layout.root, ...args]
    return await runHere(words, { launcher, input, env: { ...process.env, ...this.#env } })
  }

  async #spawn(
    input: string | Buffer,
    env: NonNullable<RunWith['env']>,
    args: readonly string[],
  ): Promise<CommandResult> {
    const child = this.startWith(env, ...args)
    const output = { stdout: '', stderr: '' }
    child.stdout?.on('data', (chunk: Buffer) => {
      output.stdout += chunk.toString('latin1')
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      output.stderr += chunk.toString()
    })
    // A command that ends before it has read its input is no accident of the test.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
    const [code] = (await once(child, 'close')) as [number | null]
    return { code: code ?? 255, ...output }
  }

  /** Runs a command that must succeed. @returns what it printed on stdout */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args)
    expect(code, `cowshed ${args.join(' ')}\n${stdout}\n${stderr}`).toBe(0)
    return stdout
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, '--json')) as T
  }

  start(...args: string[]): ChildProcess {
    return this.startWith({}, ...args)
  }

  startWith(env: NonNullable<RunWith['env']>, ...args: string[]): ChildProcess {
    return spawn(process.execPath, [launcher, '--data', this.layout.root, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...this.#env, ...env },
    })
  }

  /** Asks the daemon, which must be running. @returns the status; fails when the daemon goes away first */
  async request(method: string, path: string, body?: object): Promise<number> {
    return (await this.#ask(method, path, body)).status
  }

  /** What the daemon, which must be running, says of a path: sooner than a command does. */
  async get<T>(path: string): Promise<T> {
    return JSON.parse(await this.getText(path)) as T
  }

  async getText(path: string): Promise<string> {
    const { status, text } = await this.#ask('GET', path)
    expect(status, `GET ${path}\n${text}`).toBe(200)
    return text
  }

  async #ask(method: string, path: string, body?: object): Promise<{ readonly status: number; readonly text: string }> {
    const text = body === undefined ? '' : JSON.stringify(body)
    const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': text.length }
    return await new Promise((resolve, reject) => {
      const call = request({ socketPath: this.layout.socket, method, path, headers }, (reply) => {
        let answer = ''
        reply.setEncoding('utf8').on('data', (chunk: string) => {
          answer += chunk
        })
        reply.once('end', () => resolve({ status: reply.statusCode ?? 0, text: answer })).once('error', reject)
      })
      call.once('error', reject)
      call.end(text)
    })
  }

  /** Where the sockets of its VMs are. */
  get runDirectory(): string {
    return runDirectoryPath(this.layout, { uid: process.geteuid?.() ?? 0, env: process.env })
  }

  async daemonPid(): Promise<number | undefined> {
    const pid = Number.parseInt(await readFile(this.layout.lock, 'utf8').catch(() => ''), 10)
    return Number.isInteger(pid) && (await commandLine(pid)).includes('serve') ? pid : undefined
  }

  /** kill -9 of the daemon; waits until it is gone, and with it what it was about to start: until then its socket takes connections. */
  async killDaemon(): Promise<void> {
    const pid = await this.daemonPid()
    if (pid === undefined) return
    process.kill(pid, 'SIGKILL')
    await until(
      async () => processStartTime(pid) === undefined && !(await isListening(this.layout.socket)),
      'the daemon is dead',
    )
  }

  /**
   * Sends a signal to the VMM of a shed that runs. After SIGKILL it is dead, whether or not the daemon has noticed.
   *
   * @returns its pid: never 0, which would be the test itself
   */
  async signalVmm(name: string, signal: NodeJS.Signals): Promise<number> {
    const { pid } = await this.json<Shed>('inspect', name)
    if (pid === undefined) throw new Error(`${name} has no VMM`)
    process.kill(pid, signal)
    if (signal === 'SIGKILL') await until(async () => processStartTime(pid) === undefined, 'the VMM is dead')
    return pid
  }

  /** Pids of the VMMs of this data directory: those that have its files open. */
  async vmms(): Promise<number[]> {
    const pids = await processesWithFilesBelow(this.layout.root)
    const lines = await Promise.all(pids.map(commandLine))
    return pids.filter((_, at) => lines[at]?.includes('qemu-system'))
  }

  async #daemons(): Promise<number[]> {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
    const lines = await Promise.all(pids.map(commandLine))
    return pids.filter((_, at) => lines[at]?.includes(`serve --data ${this.layout.root} `))
  }

  /** What is half made. */
  async staging(): Promise<string[]> {
    return await readdir(this.layout.staging).catch(() => [])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Also one that lost a race for the lock and has not noticed yet: it would make the directory again.
    const killed = new Set<number>()
    const kill = (pid: number) => {
      killed.add(pid)
      killIfAlive(pid)
    }
    await until(async () => {
      const daemons = await this.#daemons()
      for (const pid of daemons) kill(pid)
      return daemons.length === 0
    }, 'every daemon is dead')
    for (const pid of await this.vmms()) kill(pid)
    await until(async () => (await this.vmms()).length === 0, 'every VMM is dead')
    // Its first thread may be gone, and with that its files from /proc, while another one still has them open.
    await until(async () => [...killed].every((pid) => processStartTime(pid) === undefined), 'nothing is left of them')
    // A daemon that is killed cannot take them along.
    await sweepVmCgroups(this.runDirectory)
    await rm(this.runDirectory, { recursive: true, force: true })
    await rm(ramDirectoryPath(this.layout), { recursive: true, force: true })
    await rm(this.layout.root, { recursive: true, force: true, maxRetries: 3 })
    await rm(this.#parent, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** Waits for something to become true. Long, because guests run under emulation on busy machines. */
export async function until(holds: () => Promise<boolean>, what: string, timeoutMs = 150_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  // Ever less often: to ask takes time from what is waited for.
  for (let pause = 5; !(await holds()); pause = Math.min(pause * 1.5, 100)) {
    if (Date.now() > deadline) throw new Error(`waited in vain for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}

/** It may have ended since it was seen. */
function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function commandLine(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).replaceAll('\0', ' ')
}
