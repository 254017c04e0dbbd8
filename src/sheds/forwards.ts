import { Problem } from '../base/index.ts'
import type { AddForwardRequest, Forward } from '../contract/index.ts'
import type { Machine } from '../machines/index.ts'
import { writeRecord } from '../state/index.ts'
import { loadShed, type ShedsContext } from './context.ts'
import type { ShedRecord } from './shed-record.ts'

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

/** Adds a forward to a running shed and remembers it for its next starts. */
export async function addForward(context: ShedsContext, name: string, request: AddForwardRequest): Promise<Forward> {
  const record = await loadShed(context, name)
  if (record.network === 'none') {
    throw new Problem('INVALID_REQUEST', `the shed ${name} has no network`, {
      hint: `make it with --net user: cowshed delete ${name}; cowshed create ${name} --net user`,
    })
  }
  const known = record.forwards.find(
    (forward) =>
      forward.guest_port === request.guest_port && (request.host_port === 0 || forward.host_port === request.host_port),
  )
  if (known !== undefined) return known
  const live = context.live.get(name)
  if (live === undefined) throw shedNotRunning(name)
  const { guestPort, hostPort } = await live.machine.addForward({
    guestPort: request.guest_port,
    hostPort: request.host_port,
  })
  const forward: Forward = { guest_port: guestPort, host_port: hostPort }
  await writeRecord(context.layout.shed(name).record, { ...record, forwards: [...record.forwards, forward] })
  return forward
}

export async function removeForward(context: ShedsContext, name: string, hostPort: number): Promise<void> {
  const record = await loadShed(context, name)
  const left = record.forwards.filter((forward) => forward.host_port !== hostPort)
  if (left.length === record.forwards.length) {
    throw new Problem('FORWARD_NOT_FOUND', `the shed ${name} has no forward from port ${hostPort}`, {
      hint: `list them: cowshed forward ${name}`,
    })
  }
  await context.live.get(name)?.machine.removeForward(hostPort)
  await writeRecord(context.layout.shed(name).record, { ...record, forwards: left })
}

export function shedNotRunning(name: string): Problem {
  return new Problem('SHED_NOT_RUNNING', `the shed ${name} is not running`, { hint: `start it: cowshed start ${name}` })
}
