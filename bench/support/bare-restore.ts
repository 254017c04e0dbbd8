import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isProblem } from '../../src/base/index.ts'
import type { Shed } from '../../src/contract/index.ts'
import { type AgentConnection, connectAgent, connectQmp, type QmpConnection } from '../../src/wires/index.ts'
import type { BenchDaemon } from './bench-daemon.ts'
import { runCommand } from './run-command.ts'

/** How to have QEMU go on from a memory as cowshed has had it. */
export interface RestoreRecipe {
  readonly command: string
  readonly args: readonly string[]
  /** The disk and the console of the shed, as they are named in the arguments, and that of the snapshot that it is a copy of. */
  readonly disk: string
  readonly console: string
  readonly diskOfSnapshot: string
  readonly ram: string
  readonly state: string
  readonly key: string
}

/**
 * Reads the command line of a shed that was made from a snapshot with memory and has not ended since: kernel, disks, RAM, devices and all arguments are then the
 * very same. What was lent to it as descriptors has its name again; it may start programs, because the state comes from one.
 */
export async function restoreRecipe(daemon: BenchDaemon, shed: string, snapshot: string): Promise<RestoreRecipe> {
  const { pid } = await daemon.call<Shed>('GET', `/api/sheds/${shed}`)
  const [command = '', ...args] = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').slice(0, -1)
  const names = await namesOf(pid ?? 0, daemon, shed)
  const named: string[] = []
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? ''
    if (arg === '-sandbox' || arg === '-add-fd') at += 1
    else named.push(withNames(arg, names))
  }
  const key = /cowshed\.key=([0-9a-f]{32})/.exec(named.join(' '))?.[1]
  if (key === undefined) throw new Error(`not the command line of a shed: ${args.join(' ')}`)
  const { layout } = daemon
  const from = layout.snapshot(snapshot)
  const { upper: disk, console } = layout.shed(shed)
  return { command, args: named, disk, console, diskOfSnapshot: from.upper, ram: from.memSnap, state: from.vmSnap, key }
}

/** What is lent in a set has another number in QEMU, and its name is that of what it is for. */
function withNames(arg: string, named: ReadonlyMap<string, string>): string {
  const text = arg.replace(/^socket,id=(\w+),fd=\d+/, 'socket,id=$1,path=SOCKETS.$1')
  return text.replace(/\/(?:dev\/fdset|proc\/self\/fd)\/\d+/, (name) => {
    const use = /"node-name":"disk-(\w+)"/.exec(text)?.[1] ?? (text.startsWith('file,id=console') ? 'console' : name)
    const path = named.get(use)
    if (path === undefined) throw new Error(`nobody knows what ${use} is: ${arg}`)
    return path
  })
}

/** By what they are for, or by the number that they have still. */
async function namesOf(pid: number, { layout }: BenchDaemon, shed: string): Promise<Map<string, string>> {
  const { upper, console } = layout.shed(shed)
  const numbers = await readdir(`/proc/${pid}/fd`)
  const open = await Promise.all(
    numbers.map(async (fd) => [`/proc/self/fd/${fd}`, await readlink(`/proc/${pid}/fd/${fd}`)] as const),
  )
  const lowers = new Set(open.map(([, path]) => path).filter((path) => /\.(erofs|data)$/.test(path)))
  const [lower] = lowers
  if (lower === undefined || lowers.size > 1) throw new Error('a lower in parts, whose order cannot be seen')
  return new Map([...open, ['upper', upper], ['lower', lower], ['console', console]])
}

export interface RestoredVm extends AsyncDisposable {
  readonly agent: AgentConnection
}

/** A machine that others can go on from. */
export interface BareSource extends AsyncDisposable {
  /** Has it stand still while its state, its RAM and its disk are copied. */
  cut(): Promise<BareCut>
}

export interface BareCut {
  /** How others go on from it. */
  readonly recipe: RestoreRecipe
  /** How long it stood still, in milliseconds. */
  readonly pauseMs: number
}

/** Starts a machine whose RAM is a file of its own, on a tmpfs. */
export async function openBareSource(recipe: RestoreRecipe, directory: string): Promise<BareSource> {
  const ramDirectory = await mkdtemp('/dev/shm/cowshed-bench-')
  const source = await startBareSource(recipe, { place: join(directory, 'source'), ramDirectory })
  return {
    cut: () => source.cut(),
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]()
      await rm(ramDirectory, { recursive: true, force: true })
    },
  }
}

async function startBareSource(
  recipe: RestoreRecipe,
  { place, ramDirectory }: { readonly place: string; readonly ramDirectory: string },
): Promise<BareSource> {
  const ram = join(ramDirectory, 'ram')
  await runCommand('cp', ['--sparse=always', recipe.ram, ram])
  const shared = recipe.args.map((arg) => arg.replace(recipe.ram, ram).replace('"share":false', '"share":true'))
  const { qmp, agent, end } = await startRestored({ ...recipe, args: shared }, place)
  agent.close()
  const cut: RestoreRecipe = {
    ...recipe,
    args: recipe.args.map((arg) => arg.replace(recipe.ram, `${place}.cut.ram`)),
    diskOfSnapshot: `${place}.cut.ext4`,
    state: `${place}.cut.state`,
  }
  const removeCut = async () => {
    await Promise.all(['ram', 'ext4', 'state'].map((part) => rm(`${place}.cut.${part}`, { force: true })))
  }
  return {
    async cut() {
      await removeCut()
      const start = performance.now()
      await qmp.execute('stop')
      await qmp.execute('migrate', { uri: `exec:cat > ${cut.state}` })
      while (!(await isThere(qmp))) await sleep(1)
      await cloneDisk(`${place}.ext4`, cut.diskOfSnapshot)
      await runCommand('cp', ['--sparse=always', ram, `${place}.cut.ram`])
      await qmp.execute('cont')
      return { recipe: cut, pauseMs: performance.now() - start }
    },
    async [Symbol.asyncDispose]() {
      qmp.close()
      await end()
      await removeCut()
    },
  }
}

async function cloneDisk(from: string, to: string): Promise<void> {
  await runCommand('cp', ['--reflink=auto', '--sparse=always', '--no-preserve=mode', from, to])
}

/** Has a guest become another, as a fork does. */
export async function becomeAnother(agent: AgentConnection, hostname: string): Promise<void> {
  await agent.setIdentity({ hostname, machineId: randomBytes(16).toString('hex'), entropy: randomBytes(64) })
  await agent.setClock(BigInt(Date.now()) * 1_000_000n)
}

/**
 * Copies the disk, starts QEMU, has it take the state, and lets it run, until its agent has answered.
 *
 * @param place for its disk and its sockets, a short path that they all begin with
 */
export async function restoreBare(recipe: RestoreRecipe, place: string): Promise<RestoredVm> {
  const { qmp, agent, end } = await startRestored(recipe, place)
  qmp.close()
  return { agent, [Symbol.asyncDispose]: end }
}

interface Restored {
  readonly qmp: QmpConnection
  readonly agent: AgentConnection
  readonly end: () => Promise<void>
}

async function startRestored(recipe: RestoreRecipe, place: string): Promise<Restored> {
  const disk = `${place}.ext4`
  await cloneDisk(recipe.diskOfSnapshot, disk)
  const args = recipe.args.map((arg) =>
    arg.replaceAll('SOCKETS', place).replaceAll(recipe.disk, disk).replaceAll(recipe.console, `${place}.log`),
  )
  const child = spawn(recipe.command, args, { stdio: 'ignore' })
  const end = async () => {
    await kill(child)
    await Promise.all(['.ext4', '.log', '.qmp', '.agent'].map((suffix) => rm(`${place}${suffix}`, { force: true })))
  }
  try {
    const qmp = await whenUp(() => connectQmp(`${place}.qmp`, {}))
    await goOn(qmp, recipe.state)
    const agent = await whenUp(() => connectAgent({ socketPath: `${place}.agent`, key: recipe.key, timeoutMs: 60_000 }))
    return { qmp, agent, end }
  } catch (error) {
    await end()
    throw error
  }
}

async function goOn(qmp: QmpConnection, state: string): Promise<void> {
  const capabilities = [{ capability: 'x-ignore-shared', state: true }]
  await qmp.execute('migrate-set-capabilities', { capabilities })
  await qmp.execute('migrate-incoming', { uri: `exec:cat ${state}` })
  while (!(await isThere(qmp))) await sleep(1)
  await qmp.execute('cont')
}

async function isThere(qmp: QmpConnection): Promise<boolean> {
  const { status } = (await qmp.execute('query-migrate')) as { status?: string }
  if (status === 'failed') throw new Error('QEMU did not take the state')
  return status === 'completed'
}

/** A socket is there as soon as QEMU is up. */
async function whenUp<T>(connect: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + 60_000
  for (;;) {
    try {
      return await connect()
    } catch (error) {
      if (!isProblem(error) || Date.now() > deadline) throw error
      await sleep(2)
    }
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** Where the files of bare machines are. */
export function barePlace(directory: string, number: number): string {
  return join(directory, `b${number}`)
}
