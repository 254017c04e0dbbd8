import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { errnoCode, isProblem, Problem } from '../../base/index.ts'
import { currentKernel, type Machine, type MachineExit } from '../../machines/index.ts'
import { type AgentConnection, connectAgent } from '../../wires/index.ts'
import { recordMachine, type ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import type { LongWork } from '../sheds.ts'
import { bootFailureSince } from './boot-failure.ts'
import { configureGuest, isToBeConfigured } from './configure-guest.ts'
import { forgetVm } from './end-vm.ts'
import { LiveShed } from './live-shed.ts'
import { machineSpec } from './machine-spec.ts'
import { clockMs } from './set-guest-clock.ts'
import { watchMachine } from './watch-machine.ts'

/**
 * Boots the VM of a shed whose directory is there, up to an agent that is ready and a set clock. The shed's record is not touched.
 *
 * On failure no VM runs and no machine.json is left; the console stays.
 * @throws Problem BOOT_FAILED with the guest's own words, MACHINE_FAILED, KERNEL_NOT_FOUND, IMAGE_NOT_FOUND
 */
export async function bootShed(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<LiveShed> {
  const kernel = await currentKernel(context.layout)
  const spec = await machineSpec(context, record, { work, kernel, agentKey: randomBytes(16).toString('hex') })
  const consoleStart = await sizeOf(spec.consolePath)
  throwIfCancelled(work.signal)
  work.onProgress?.({ phase: 'boot', item: record.name, done: 0 })
  let [machine, agent]: [Machine?, AgentConnection?] = []
  try {
    const memory = { path: await context.ram.place(record), mapping: 'shared' } as const
    machine = await context.driver.start({ ...spec, memory }, (found) => recordMachine(context, record.name, found))
    const configure = (waiting: AgentConnection) => configureGuest(context, record, waiting)
    agent = await readyAgent(context, machine, {
      caller: work.signal,
      ...(isToBeConfigured(record) ? { configure } : {}),
    })
    await agent.setClock(BigInt(Date.now()) * 1_000_000n, { timeoutMs: clockMs })
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

interface BootWork {
  readonly caller: AbortSignal | undefined
  /** What the guest waits for before its init begins. */
  readonly configure?: ((agent: AgentConnection) => Promise<void>) | undefined
}

/** Waits for the guest's ready message, for the VM's death, for the deadline or for the caller to give up, whichever comes first. */
async function readyAgent(
  context: ShedsContext,
  machine: Machine,
  { caller, configure }: BootWork,
): Promise<AgentConnection> {
  const giveUp = new AbortController()
  const deadline = AbortSignal.timeout(context.bootTimeoutMs)
  const signal = AbortSignal.any([giveUp.signal, deadline, ...(caller === undefined ? [] : [caller])])
  const ready = connectReady(machine, { signal, configure })
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

async function connectReady(
  machine: Machine,
  { signal, configure }: Pick<BootWork, 'configure'> & { readonly signal: AbortSignal },
): Promise<AgentConnection> {
  const { agentSocket, agentKey } = machine.record
  const agent = await connectAgent({ socketPath: agentSocket, key: agentKey, signal })
  // Whoever waits for `ready` is told when the connection goes.
  const giveUp = () => agent.close()
  signal.addEventListener('abort', giveUp, { once: true })
  if (signal.aborted) giveUp()
  try {
    await configure?.(agent)
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
