import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '../../src/base/index.ts'
import { isLocked } from '../../src/host/index.ts'
import type { Driver, KernelFiles, Machine, MachineRecord, MachineSpec } from '../../src/machines/index.ts'
import { type AgentConnection, connectAgent } from '../../src/wires/index.ts'
import type { MiniImage } from '../support/mini-image.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** What every machine of a suite is made from. */
export interface Material {
  readonly driver: Driver
  readonly kernel: KernelFiles
  readonly image: MiniImage
  readonly acceleration: MachineSpec['acceleration']
}

export interface Booted {
  readonly machine: Machine
  readonly agent: AgentConnection
}

/** Where one test starts machines. When it is disposed of they are all killed, and nothing may be left of them. */
export interface Workbench {
  readonly directory: string
  /** A machine with a fresh upper, a lock and logs of its own. */
  spec(change?: Partial<MachineSpec>): Promise<MachineSpec>
  start(spec: MachineSpec): Promise<Machine>
  /** Starts a machine and waits until its agent is ready. */
  boot(change?: Partial<MachineSpec>): Promise<Booted & { readonly spec: MachineSpec }>
  connect(record: MachineRecord): Promise<AgentConnection>
  /** Also kills this one in the end. */
  own(machine: Machine): Machine
  [Symbol.asyncDispose](): Promise<void>
}

export async function workbench(material: Material): Promise<Workbench> {
  const directory = await temporaryDirectory()
  const runDirectory = join(directory.path, 'run')
  await mkdir(runDirectory, { mode: 0o700 })
  const machines: Machine[] = []
  const agents: AgentConnection[] = []
  const own = (machine: Machine) => {
    machines.push(machine)
    return machine
  }
  const spec = async (change: Partial<MachineSpec> = {}): Promise<MachineSpec> => {
    const id = newId()
    return {
      name: `test-${id}`,
      id,
      cpus: 1,
      memoryBytes: 256 * 2 ** 20,
      kernel: material.kernel,
      kernelArguments: [
        'cowshed.hostname=mini',
        `cowshed.machine_id=${'c0'.repeat(16)}`,
        `cowshed.net=${change.network ?? 'none'}`,
      ],
      drives: change.drives ?? (await drives(material.image, join(directory.path, id))),
      network: 'none',
      acceleration: material.acceleration,
      consolePath: join(directory.path, `${id}.console`),
      logPath: join(directory.path, `${id}.log`),
      lockPath: join(directory.path, `${id}.lock`),
      runDirectory,
      agentKey: randomBytes(16).toString('hex'),
      ...change,
    }
  }
  const connect = async ({ agentSocket, agentKey }: MachineRecord) => {
    const signal = AbortSignal.timeout(150_000)
    const agent = await connectAgent({ socketPath: agentSocket, key: agentKey, signal })
    agents.push(agent)
    return agent
  }
  const start = async (what: MachineSpec) => own(await material.driver.start(what, async () => {}))
  return {
    directory: directory.path,
    spec,
    start,
    connect,
    own,
    boot: async (change) => {
      const what = await spec(change)
      const machine = await start(what)
      const agent = await connect(machine.record)
      await agent.ready
      return { spec: what, machine, agent }
    },
    [Symbol.asyncDispose]: async () => {
      for (const agent of agents) agent.close()
      for (const machine of machines) await machine.kill()
      const left = await remains(directory.path, runDirectory)
      await directory[Symbol.asyncDispose]()
      if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`)
    },
  }
}

async function drives(image: MiniImage, stem: string): Promise<MachineSpec['drives']> {
  return [
    { id: 'upper', path: await image.upper(stem), readOnly: false },
    { id: 'lower', path: image.lower, readOnly: true },
  ]
}

/** Processes that know the directory, locks in it that are held, sockets. */
async function remains(directory: string, runDirectory: string): Promise<string[]> {
  const processes = processesWith(directory).map((pid) => {
    process.kill(pid, 'SIGKILL')
    return `process ${pid}`
  })
  const locks: string[] = []
  for (const name of await readdir(directory)) {
    if (name.endsWith('.lock') && (await isLocked(join(directory, name)))) locks.push(`a hold on ${name}`)
  }
  return [...processes, ...locks, ...(await readdir(runDirectory))]
}

/** Zombies have no command line, and this very process does not count. */
export function processesWith(words: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => pid !== process.pid && commandLine(pid).includes(words))
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}

/** Runs a program in the guest to its end. */
export async function run(
  agent: AgentConnection,
  ...argv: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { PATH: '/bin' }
  const process = await agent.exec({ argv, env, stdin: false })
  const [stdout, stderr, { code }] = await Promise.all([text(process.stdout), text(process.stderr), process.exit])
  return { code, stdout, stderr }
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** What happens to a command whose guest goes away does not matter here. */
export async function answerless(command: Promise<unknown>): Promise<void> {
  await Promise.race([command.catch(() => undefined), sleep(2000)])
}
