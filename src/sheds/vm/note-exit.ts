import { isProblem } from '../../base/index.ts'
import type { ShedsContext } from '../context.ts'
import { loadShed } from '../records/load-shed.ts'
import { settleShed } from '../settle-shed.ts'

/**
 * Writes down that a VM has ended. Runs as a transition, so that it never cuts into one: a verb that was under way has settled the shed by
 * then, and this finds nothing to do.
 */
export async function noteExit(context: ShedsContext, name: string): Promise<void> {
  try {
    await context.transitions.run(name, async () => settleShed(context, await loadShed(context, name)))
  } catch (error) {
    // The shed is gone, or the daemon is going.
    if (isProblem(error, 'SHED_NOT_FOUND') || isProblem(error, 'CANCELLED')) return
    // The next transition of the shed settles it; until then it is shown as it is observed.
    context.events.append({ type: 'shed.unsettled', subject: name, message: String(error) })
  }
}
