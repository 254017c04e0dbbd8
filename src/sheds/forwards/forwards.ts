import { Problem } from '../../base/index.ts'
import type { AddForwardRequest, Forward } from '../../contract/index.ts'
import type { Machine } from '../../machines/index.ts'
import { writeRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import { type ShedRecord, shedNotRunning } from '../records/shed-record.ts'
import { hasPorts } from './ports.ts'

/** Adds a forward to a shed that runs or sleeps, and remembers it for its next starts. A recorded one that is not open, for its port was taken, is opened. */
export async function addForward(
  { ports, layout }: ShedsContext,
  record: ShedRecord,
  { guest_port, host_port }: AddForwardRequest,
): Promise<Forward> {
  const { name, forwards } = record
  if (record.network === 'none') throw noNetwork(name)
  const known = forwards.find(
    (forward) => forward.guest_port === guest_port && (host_port === 0 || forward.host_port === host_port),
  )
  if (!hasPorts(record)) {
    if (known === undefined) throw shedNotRunning(name)
    return known
  }
  if (known !== undefined) return await ports.open(name, known)
  const taken = forwards.find((forward) => forward.host_port === host_port)
  if (taken !== undefined) throw isTaken(name, taken)
  const opened = await ports.open(name, { guest_port, host_port })
  try {
    await writeRecord(layout.shed(name).record, { ...record, forwards: [...forwards, opened] })
    return opened
  } catch (error) {
    ports.close(name, opened.host_port)
    throw error
  }
}

/** Connections that there are go on. @throws Problem FORWARD_NOT_FOUND */
export async function removeForward(context: ShedsContext, record: ShedRecord, hostPort: number): Promise<void> {
  const { name, forwards } = record
  const removed = forwards.find((forward) => forward.host_port === hostPort)
  if (removed === undefined) {
    throw new Problem('FORWARD_NOT_FOUND', `the shed ${name} has no forward from port ${hostPort}`, {
      hint: `list them: cowshed forward ${name}`,
    })
  }
  const left = forwards.filter((forward) => forward !== removed)
  await writeRecord(context.layout.shed(name).record, { ...record, forwards: left })
  context.ports.close(name, hostPort)
  const { guest_port: guestPort } = removed
  if (!left.some((forward) => forward.guest_port === guestPort))
    await context.live.get(name)?.closeHostPortOf(guestPort)
}

/**
 * Closes what a VM that was adopted has open and is not to have: a port of this host that is the daemon's, which an earlier version left to the VM; the way to
 * a port of its guest that is not forwarded any more.
 */
export async function reconcileForwards(context: ShedsContext, record: ShedRecord, machine: Machine): Promise<void> {
  if (record.network === 'none') return
  const { name, forwards } = record
  try {
    for (const { guestPort, hostPort } of await machine.forwards()) {
      const isWay = forwards.some((forward) => forward.guest_port === guestPort)
      const isPort = forwards.some((forward) => forward.host_port === hostPort)
      if (!isWay || isPort) await machine.removeForward(hostPort)
    }
  } catch (error) {
    context.events.append({ type: 'shed.forward_failed', subject: name, message: String(error) })
  }
}

function noNetwork(name: string): Problem {
  return new Problem('INVALID_REQUEST', `the shed ${name} has no network`, {
    hint: `make it with --net user: cowshed delete ${name}; cowshed create ${name} --net user`,
  })
}

function isTaken(name: string, { host_port, guest_port }: Forward): Problem {
  return new Problem('PORT_IN_USE', `port ${host_port} goes to port ${guest_port} of ${name} already`, {
    hint: `close that first: cowshed forward ${name} --rm ${host_port}`,
    data: { port: host_port },
  })
}
