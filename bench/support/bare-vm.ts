import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, mkdir, readdir, readFile, readlink, rm } from 'node:fs/promises'
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
  readonly own: { readonly directory: string; readonly key: string }
}

export interface BareVm extends AsyncDisposable {
  readonly agent: AgentConnection
}

/** Reads the command line of a running shed's QEMU: kernel, initrd, disks, devices and all arguments are then the very same. */
export async function recipeOf(daemon: BenchDaemon, name: string): Promise<BareVmRecipe> {
  const { pid, upper_bytes } = (await daemon.call<Shed>('GET', `/api/sheds/${name}`)) as Shed
  const [command = '', ...lent] = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').slice(0, -1)
  const { layout } = daemon
  const own = layout.shed(name).dir
  const files = await lentFiles(pid ?? 0, lent)
  const args = withoutSets(lent.map((arg) => byPath(arg, files, own)))
  const line = args.join(' ')
  const key = /cowshed\.key=([0-9a-f]{32})/.exec(line)?.[1]
  // What is known of its files: the rest was taken from the same list.
  const isKnown = line.includes(`"filename":"${own}/upper.ext4"`) && line.includes(`path=${own}/console.log`)
  if (key === undefined || !isKnown) throw new Error(`not the command line of a shed: ${line}`)
  return {
    command,
    args,
    upperTemplate: layout.upperTemplate(upper_bytes),
    own: { directory: own, key },
  }
}

/** What the daemon has lent to QEMU as a descriptor, by its path: sockets and RAM as files in the shed's directory. */
function byPath(arg: string, lent: ReadonlyMap<string, string>, own: string): string {
  return arg
    .replace(/^(socket,id=(agent|qmp)),fd=\d+/, (_all, socket, id) => `${socket},path=${own}/s.${id}`)
    .replace(/\/(?:proc\/self\/fd|dev\/fdset)\/\d+/g, (name) => {
      const path = lent.get(name) ?? name
      return path.endsWith('.ram') ? ramIn(own) : path
    })
}

/**
 * The paths of files that QEMU was lent, by the names that it has for them. Of those in sets it has copies, one right behind the other in their order, and has
 * closed the others; what it has opened of them again may be anywhere.
 */
async function lentFiles(pid: number, args: readonly string[]): Promise<Map<string, string>> {
  const links = new Map<number, string>()
  for (const fd of await readdir(`/proc/${pid}/fd`)) {
    const path = await readlink(`/proc/${pid}/fd/${fd}`)
    if (path.startsWith('/')) links.set(Number(fd), path)
  }
  const sets = args.flatMap((arg) => /^fd=\d+,set=(\d+)$/.exec(arg)?.[1] ?? [])
  const last = Math.max(...[...args.join(' ').matchAll(/\bfd=(\d+)/g)].map(([, fd]) => Number(fd)))
  const behind = [...links].filter(([fd]) => fd > last).sort(([a], [b]) => a - b)
  const copies = behind.map((_, at) => behind.slice(at, at + sets.length)).find(isRow) ?? []
  return new Map([
    ...[...links].map(([fd, path]): [string, string] => [`/proc/self/fd/${fd}`, path]),
    ...sets.map((set, at): [string, string] => [`/dev/fdset/${set}`, copies[at]?.[1] ?? '']),
  ])
}

/** Whether descriptors follow each other without a gap, each of another file. */
function isRow(files: readonly (readonly [number, string])[]): boolean {
  const [first = 0] = files[0] ?? []
  return files.every(([fd], at) => fd === first + at) && new Set(files.map(([, path]) => path)).size === files.length
}

/** RAM that a VM alone has, in its directory. */
export function ramIn(directory: string): string {
  return join(directory, 'ram')
}

function withoutSets(args: readonly string[]): string[] {
  return args.filter((arg, at) => arg !== '-add-fd' && args[at - 1] !== '-add-fd')
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
  const args = argsIn(recipe, directory).map((arg) => arg.replaceAll(recipe.own.key, key))
  await copyFile(recipe.upperTemplate, join(directory, 'upper.ext4'))
  return async () => {
    const child = spawn(recipe.command, args, { stdio: 'ignore' })
    try {
      const agent = await agentOf(join(directory, 's.agent'), key)
      await agent.ready
      return { agent, [Symbol.asyncDispose]: () => endBareVm(child, directory) }
    } catch (error) {
      await endBareVm(child, directory)
      throw error
    }
  }
}

/** The same arguments, with the files of another directory. */
export function argsIn({ args, own }: BareVmRecipe, directory: string): string[] {
  return args.map((arg) => arg.replaceAll(own.directory, directory))
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
export async function agentOf(socketPath: string, key: string): Promise<AgentConnection> {
  const deadline = Date.now() + 120_000
  for (;;) {
    try {
      return await connectAgent({ socketPath, key, timeoutMs: 120_000 })
    } catch (error) {
      if (!isProblem(error, 'AGENT_UNREACHABLE') || Date.now() > deadline) throw error
      await sleep(2)
    }
  }
}

export async function endBareVm(child: ChildProcess, directory: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  await rm(directory, { recursive: true, force: true })
}
