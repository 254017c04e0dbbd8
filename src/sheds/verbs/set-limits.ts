import { Problem } from '../../base/index.ts'
import type { IoLimits, SetLimitsRequest } from '../../contract/index.ts'
import { writeRecord } from '../../state/index.ts'
import { checkFits } from '../admission/host-limits.ts'
import type { ShedsContext } from '../context.ts'
import { refuseCold, type ShedRecord } from '../records/shed-record.ts'
import { growDiskOfShed } from './grow-disk-of-shed.ts'

/** Says what a settled shed may have of its host, inside its transition. @see Sheds.setLimits */
export async function setLimits(
  context: ShedsContext,
  record: ShedRecord,
  request: SetLimitsRequest,
): Promise<ShedRecord> {
  const { layout, live, limits, events } = context
  const { name } = record
  refuseCold(record, `set what ${name} may have`)
  if (live.has(name)) throw notStopped(name)
  const changed = withLimits(record, request)
  checkFits(limits, changed)
  const { upper_bytes: bytes } = request
  if (bytes !== undefined) changed.upper_bytes = await growDiskOfShed(context, record, bytes)
  await writeRecord(layout.shed(name).record, changed)
  events.append({ type: 'shed.set', subject: name, message: `what ${name} may have of its host is set` })
  return changed
}

function withLimits({ io: ioBefore, ...record }: ShedRecord, request: SetLimitsRequest): ShedRecord {
  const io = ioLimits({ ...ioBefore, ...request.io })
  return {
    ...record,
    ...(io === undefined ? {} : { io }),
    cpus: request.cpus ?? record.cpus,
    memory_bytes: request.memory_bytes ?? record.memory_bytes,
    upper_bytes: request.upper_bytes ?? record.upper_bytes,
  }
}

function ioLimits(wanted: NonNullable<SetLimitsRequest['io']>): IoLimits | undefined {
  const left = Object.entries(wanted).filter(([, limit]) => limit !== null && limit !== undefined)
  return left.length === 0 ? undefined : Object.fromEntries(left)
}

function notStopped(name: string): Problem {
  return new Problem('SHED_NOT_STOPPED', `the VM of ${name} has what it was started with`, {
    hint: `stop it first: cowshed stop ${name}`,
  })
}
