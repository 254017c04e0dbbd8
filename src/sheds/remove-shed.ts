import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoCode, Problem, problemFromSystem } from '../base/index.ts'
import { openStaging, syncDirectory } from '../host/index.ts'
import { changeStatus, type ShedsContext } from './context.ts'
import type { ShedRecord } from './shed-record.ts'
import { endMachine } from './stop-shed.ts'

/** Removes a shed, inside its transition. @see Sheds.remove */
export async function removeShed(
  context: ShedsContext,
  record: ShedRecord,
  { force }: { readonly force: boolean },
): Promise<void> {
  if (context.live.has(record.name) && !force) {
    throw new Problem('SHED_NOT_STOPPED', `the shed ${record.name} is running`, {
      hint: `stop it first: cowshed stop ${record.name}; or remove it as it runs: cowshed delete --force ${record.name}`,
    })
  }
  const deleting = await changeStatus(context, record, { status: 'deleting' })
  const live = context.live.get(record.name)
  // Nobody will read this disk again, so the guest is not asked to shut down.
  if (live !== undefined) await endMachine(context, { name: record.name, live, timeoutMs: 0 })
  await deleteShed(context, deleting)
}

/** Removes the directory of a shed without a VM: one rename makes it vanish, then its bytes are freed. */
export async function deleteShed(context: ShedsContext, record: Pick<ShedRecord, 'name'>): Promise<void> {
  const { layout } = context
  await using staging = await openStaging(layout, `delete-${record.name}`)
  try {
    await rename(layout.shed(record.name).dir, join(staging.path, record.name))
    await syncDirectory(layout.sheds)
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw problemFromSystem(error, `remove the shed ${record.name}`)
  }
  await rm(join(staging.path, record.name), { recursive: true, force: true })
  context.events.append({ type: 'shed.deleted', subject: record.name, message: `shed ${record.name} is deleted` })
}
