import { access } from 'node:fs/promises'
import type { MachineExit } from '../../machines/index.ts'
import type { ShedsContext, StatusChange } from '../context.ts'
import { consoleSaysPowerDown } from '../vm/console-end.ts'
import type { ShedRecord } from './shed-record.ts'

/**
 * What has become of a shed whose record speaks of a VM that is dead.
 *
 * @param exit how it ended, when somebody saw it; else the files tell
 */
export async function statusAfter(
  { layout }: Pick<ShedsContext, 'layout'>,
  record: ShedRecord,
  exit?: MachineExit,
): Promise<StatusChange> {
  const { machine, console, memoryRecord } = layout.shed(record.name)
  if (record.status === 'starting') return { status: 'stopped', reason: 'its start was cut off' }
  if (record.status === 'stopping') return { status: 'stopped' }
  if (record.status === 'waking') return { status: 'cold', reason: 'its wake was cut off' }
  // Its memory is installed when it is whole, and its VM is ended after that.
  if (record.status === 'sleeping' && (await exists(memoryRecord))) return { status: 'cold' }
  if (exit !== undefined) return { status: endedByGuest(exit) ? 'stopped' : 'crashed', reason: exit.reason }
  // Who ends a VM on purpose removes machine.json before the record is written.
  if (!(await exists(machine))) return { status: 'stopped' }
  return (await consoleSaysPowerDown(console))
    ? { status: 'stopped', reason: 'the guest shut down while no daemon was running' }
    : { status: 'crashed', reason: 'its VM died while no daemon was running' }
}

/** Why a shed runs whose record says that it falls asleep. */
export const couldNotSleep = 'it could not fall asleep'

/** Whether the guest ended its VM by itself: that is a stop, whoever asked for it; anything else befell it. */
export function endedByGuest({ kind }: MachineExit): boolean {
  return kind === 'powerdown' || kind === 'reset'
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
