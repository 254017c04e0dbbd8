import { parseName } from '../../base/index.ts'
import type { CreateSnapshotRequest } from '../../contract/index.ts'
import { fileStatus, openStaging } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'
import { refuseFailed } from '../records/refuse-failed.ts'
import { refuseLazy, type ShedRecord } from '../records/shed-record.ts'
import { withKeptLower } from '../with-kept-lower.ts'
import { cutShed } from './cut-shed.ts'
import { installSnapshot } from './install-snapshot.ts'
import { snapshotExists } from './snapshot-record.ts'

/**
 * Keeps the disks of a settled shed as they are now, and what is in its memory if that is asked for, inside its transition. Killed at any point, there is all
 * of the snapshot or nothing; the shed goes on in either case.
 *
 * @throws Problem SNAPSHOT_ALREADY_EXISTS, AGENT_UNREACHABLE, GUEST_FAILED, NO_SPACE; with memory SHED_NOT_RUNNING, INVALID_REQUEST, MACHINE_FAILED,
 *   MEMORY_DAMAGED; there is nothing new then
 */
export async function takeSnapshot(
  context: ShedsContext,
  shed: ShedRecord,
  request: CreateSnapshotRequest,
): Promise<void> {
  const { layout, events } = context
  const { name } = request
  // Before a guest is made to wait.
  if ((await fileStatus(layout.snapshot(parseName(name, 'name for a snapshot')).dir)) !== undefined) {
    throw snapshotExists(name)
  }
  refuseFailed(context, shed)
  // It may outlive its registry.
  refuseLazy(await withKeptLower(context, shed, {}), `take a snapshot of ${shed.name}`)
  await using staging = await openStaging(layout, `snapshot-${name}`)
  const record = await cutShed(context, shed, { request, directory: staging.path })
  await installSnapshot(layout, { record, directory: staging.path })
  const message = `snapshot ${name} of ${shed.name} is taken`
  const data = { shed: shed.name, ...(record.pause_ms === undefined ? {} : { pause_ms: record.pause_ms }) }
  events.append({ type: 'snapshot.created', subject: name, message, data })
}
