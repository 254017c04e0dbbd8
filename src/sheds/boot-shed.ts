import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { errnoCode, isProblem, Problem } from '../base/index.ts'
import {
  currentKernel,
  type Machine,
  type MachineExit,
  type MachineSpec,
  probeAcceleration,
} from '../machines/index.ts'
import { type AgentConnection, connectAgent } from '../wires/index.ts'
import { bootFailureSince } from './boot-failure.ts'
import { recordMachine, type ShedsContext } from './context.ts'
import { forgetVm } from './end-vm.ts'
import { applyForwards } from './forwards.ts'
import { LiveShed } from './live-shed.ts'
import { drivesOf } from './shed-disk.ts'
import type { ShedRecord } from './shed-record.ts'
import type { LongWork } from './sheds.ts'
import { watchMachine } from './watch-machine.ts'

/** How long a guest that is ready may take to set its clock, in milliseconds. */
const clockMs = 10_000

/**
 * Boots the VM of a shed whose directory is there, up to an agent that is ready and a set clock. The shed's record is not touched.
 *
 * On failure no VM runs and no machine.json is left; the console stays.
 * @throws Problem BOOT_FAILED with the guest's own words, MACHINE_FAILED, KERNEL_NOT_FOUND, IMAGE_NOT_FOUND
 */
export async function bootShed(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<LiveShed> {
  const spec = await machineSpec(context, record, work)
  const consoleStart = await sizeOf(spec.consolePath)
  throwIfCancelled(work.signal)
  work.onProgress?.({ phase: 'boot', item: record.name, done: 0 })
  let [machine, agent]: [Machine?, AgentConnection?] = []
  try {
    machine = await context.driver.start(spec, (found) => recordMachine(context, record.name, found))
    agent = await readyAgent(context, machine, work.signal)
    await agent.setClock(BigInt(Date.now()) * 1_000_000n, { timeoutMs: clockMs })
    await applyForwards(context, record, machine)
  } catch (error) {
    agent?.close()
    await machine?.kill()
    await forgetVm(context, record.name)
    throw await bootFailureSince(error, { name: record.name, consolePath: spec.consolePath, from: consoleStart })
  }
  const live = new LiveShed(record.name, machine, agent)
  watchMachine(context, live)
  return live
}

async function machineSpec(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<MachineSpec> {
  const { layout, driver, runDirectory } = context
  const paths = layout.shed(record.name)
  const kernel = await currentKernel(layout)
  const { acceleration } = await probeAcceleration(layout, kernel, driver)
  const { drives, kernelArguments } = await drivesOf(context, record, work)
  return {
    name: record.name,
    id: record.id,
    cpus: record.cpus,
    memoryBytes: record.memory_bytes,
    kernel,
    kernelArguments: [
      `cowshed.hostname=${record.name}`,
      `cowshed.machine_id=${record.machine_id}`,
      `cowshed.net=${record.network}`,
      // Nobody can type into the console. Where udev is missing, systemd would wait 90 s for a login on it (systemd-getty-generator(8)).
      'systemd.getty_auto=no',
      ...kernelArguments,
    ],
    drives,
    network: record.network,
    acceleration,
    consolePath: paths.console,
    logPath: paths.vmmLog,
    lockPath: paths.vmmLock,
    runDirectory,
    agentKey: randomBytes(16).toString('hex'),
  }
}

/** Waits for the guest's ready message, for the VM's death, for the deadline or for the caller to give up, whichever comes first. */
async function readyAgent(
  context: ShedsContext,
  machine: Machine,
  caller: AbortSignal | undefined,
): Promise<AgentConnection> {
  const giveUp = new AbortController()
  const deadline = AbortSignal.timeout(context.bootTimeoutMs)
  const signal = AbortSignal.any([giveUp.signal, deadline, ...(caller === undefined ? [] : [caller])])
  const ready = connectReady(machine, signal)
  try {
    return await Promise.race([ready, machine.exited.then(diedWhileBooting)])
  } catch (error) {
    giveUp.abort()
    // Whatever comes of the connection now has no owner.
    void ready.then((agent) => agent.close()).catch(() => undefined)
    throwIfCancelled(caller)
    if (deadline.aborted)
      throw new Problem('BOOT_FAILED', `the guest was not ready in ${context.bootTimeoutMs / 1000} s`)
    throw error
  }
}

async function connectReady(machine: Machine, signal: AbortSignal): Promise<AgentConnection> {
  const { agentSocket, agentKey } = machine.record
  const agent = await connectAgent({ socketPath: agentSocket, key: agentKey, signal })
  // Whoever waits for `ready` is told when the connection goes.
  const giveUp = () => agent.close()
  signal.addEventListener('abort', giveUp, { once: true })
  if (signal.aborted) giveUp()
  try {
    await agent.ready
    return agent
  } catch (error) {
    agent.close()
    throw error
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

function throwIfCancelled(caller: AbortSignal | undefined): void {
  if (caller?.aborted === true) throw new Problem('CANCELLED', 'the start was cancelled', { cause: caller.reason })
}

function diedWhileBooting(exit: MachineExit): never {
  throw new Problem('BOOT_FAILED', `the VM ended while it was booting: ${exit.reason}`)
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || isProblem(error)) return 0
    throw error
  }
}
