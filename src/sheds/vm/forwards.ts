import { Problem } from '../../base/index.ts'
import type { AddForwardRequest, Forward } from '../../contract/index.ts'
import type { Machine, Forward as MachineForward } from '../../machines/index.ts'
import { writeRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import { type ShedRecord, shedNotRunning } from '../records/shed-record.ts'

/** Opens the recorded forwards of a shed that has just booted. A port that is taken by now is told as an event and does not fail the start. */
export async function applyForwards(context: ShedsContext, record: ShedRecord, machine: Machine): Promise<void> {
  for (const forward of record.forwards) {
    try {
      await machine.addForward({ guestPort: forward.guest_port, hostPort: forward.host_port })
    } catch (error) {
      context.events.append({
        type: 'shed.forward_failed',
        subject: record.name,
        message: `cannot forward 127.0.0.1:${forward.host_port} to port ${forward.guest_port}: ${String(error)}`,
      })
    }
  }
}

/**
 * Makes the forwards of a VM that was adopted those that are recorded: a daemon that was killed may have opened one without recording it, or
 * recorded a removal without closing it.
 */
export async function reconcileForwards(context: ShedsContext, record: ShedRecord, machine: Machine): Promise<void> {
  if (record.network === 'none') return
  try {
    const open = await machine.forwards()
    const isRecorded = (one: MachineForward) => record.forwards.some((other) => isSame(other, one))
    for (const { hostPort } of open.filter((one) => !isRecorded(one))) await machine.removeForward(hostPort)
    const missing = record.forwards.filter((one) => !open.some((other) => isSame(one, other)))
    await applyForwards(context, { ...record, forwards: missing }, machine)
  } catch (error) {
    context.events.append({ type: 'shed.forward_failed', subject: record.name, message: String(error) })
  }
}

function isSame(recorded: Forward, open: MachineForward): boolean {
  return recorded.guest_port === open.guestPort && recorded.host_port === open.hostPort
}

/** Adds a forward to a running shed and remembers it for its next starts. A recorded one that is not open, for its port was taken, is opened. */
export async function addForward(
  context: ShedsContext,
  record: ShedRecord,
  request: AddForwardRequest,
): Promise<Forward> {
  const { name } = record
  if (record.network === 'none') {
    throw new Problem('INVALID_REQUEST', `the shed ${name} has no network`, {
      hint: `make it with --net user: cowshed delete ${name}; cowshed create ${name} --net user`,
    })
  }
  const known = record.forwards.find(
    (forward) =>
      forward.guest_port === request.guest_port && (request.host_port === 0 || forward.host_port === request.host_port),
  )
  const live = context.live.get(name)
  if (known !== undefined) {
    if (live !== undefined && !(await live.machine.forwards()).some((open) => isSame(known, open))) {
      await live.machine.addForward({ guestPort: known.guest_port, hostPort: known.host_port })
    }
    return known
  }
  if (live === undefined) throw shedNotRunning(name)
  return await openAndRecord(context, { record, machine: live.machine, request })
}

interface OpenAndRecord {
  readonly record: ShedRecord
  readonly machine: Machine
  readonly request: AddForwardRequest
}

async function openAndRecord({ layout }: ShedsContext, { record, machine, request }: OpenAndRecord): Promise<Forward> {
  const opened = await machine.addForward({ guestPort: request.guest_port, hostPort: request.host_port })
  const forward: Forward = { guest_port: opened.guestPort, host_port: opened.hostPort }
  try {
    await writeRecord(layout.shed(record.name).record, { ...record, forwards: [...record.forwards, forward] })
    return forward
  } catch (error) {
    await machine.removeForward(opened.hostPort)
    throw error
  }
}

/** @throws Problem FORWARD_NOT_FOUND */
export async function removeForward(context: ShedsContext, record: ShedRecord, hostPort: number): Promise<void> {
  const { name } = record
  const left = record.forwards.filter((forward) => forward.host_port !== hostPort)
  if (left.length === record.forwards.length) {
    throw new Problem('FORWARD_NOT_FOUND', `the shed ${name} has no forward from port ${hostPort}`, {
      hint: `list them: cowshed forward ${name}`,
    })
  }
  await context.live.get(name)?.machine.removeForward(hostPort)
  await writeRecord(context.layout.shed(name).record, { ...record, forwards: left })
}
