import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isLocked, namesIn } from '../host/index.ts'
import type { ShedsContext } from './context.ts'
import { type LoadedShed, loadAllSheds } from './records/load-shed.ts'
import type { ShedRecord } from './records/shed-record.ts'
import { adoptShed, settleShed } from './settle-shed.ts'
import { noteExit } from './vm/note-exit.ts'
import { settleNewVolumes } from './volumes/new-volumes.ts'

/**
 * Settles what the last daemon left: VMs that run are adopted, transitions that it was killed in are rolled back or finished, and nothing of
 * a shed that is not there survives. Runs once, before anything is served. A shed whose record cannot be read is left exactly as it is.
 */
export async function recoverSheds(context: ShedsContext): Promise<void> {
  const all = await loadAllSheds(context)
  await Promise.all(all.map((shed) => recoverShed(context, shed)))
  await settleNewVolumes(context)
  if (!all.every(({ record }) => record !== undefined)) return
  await sweepSockets(context, all)
  await context.ram.sweep(new Set(all.map(({ name }) => name)))
}

async function recoverShed(context: ShedsContext, { name, record, problem }: LoadedShed): Promise<void> {
  try {
    if (problem !== undefined) throw problem
    // A stop takes as long as the guest does: others need not wait for that.
    const isStopping = record.status === 'stopping' && (await adoptShed(context, record)) !== undefined
    if (isStopping) void noteExit(context, name)
    else await context.transitions.run(name, async () => await settle(context, record))
  } catch (error) {
    const type = record === undefined ? 'shed.broken' : 'shed.unsettled'
    context.events.append({ type, subject: name, message: String(error) })
  }
}

/** What was open with the last daemon is open with this one. */
async function settle(context: ShedsContext, record: ShedRecord): Promise<void> {
  const settled = await settleShed(context, record)
  if (settled !== undefined) await context.ports.follow(settled)
}

/** Sockets are named after the ids of sheds; the run-time directory is this data directory's alone. */
async function sweepSockets({ layout, runDirectory }: ShedsContext, all: readonly LoadedShed[]): Promise<void> {
  const used = new Set<string>()
  for (const { name, record } of all) {
    // A VM that did not answer now may do so later.
    if (record !== undefined && (await isLocked(layout.shed(name).vmmLock))) used.add(record.id)
  }
  for (const file of await namesIn(runDirectory)) {
    const [, id] = /^([0-9a-f]{12})\./.exec(file) ?? []
    if (id !== undefined && !used.has(id)) await rm(join(runDirectory, file), { recursive: true, force: true })
  }
}
