import type { OwnThermalSettings, SetThermalRequest } from '../../contract/index.ts'
import { writeRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'

/** Says what becomes of a settled shed that nobody uses, inside its transition; it may run. @see Sheds.set */
export async function setThermal(
  { layout, events, uses }: ShedsContext,
  { thermal, ...record }: ShedRecord,
  request: SetThermalRequest,
): Promise<ShedRecord> {
  const own = { ...thermal, ...request }
  const changed = { ...record, ...ownSettings(own) }
  await writeRecord(layout.shed(record.name).record, changed)
  // Whoever has set it sees it at its old temperature for as long as the new times say.
  uses.touch(record.name)
  events.append({ type: 'shed.set', subject: record.name, message: `what becomes of an idle ${record.name} is set` })
  return changed
}

/** Without what is left to config.toml. */
function ownSettings(request: SetThermalRequest): { readonly thermal?: OwnThermalSettings } {
  const said = Object.entries(request).filter(([, value]) => value !== null && value !== undefined)
  return said.length === 0 ? {} : { thermal: Object.fromEntries(said) }
}
