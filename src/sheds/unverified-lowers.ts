import { type Digest, inParallel, isProblem, Problem } from '../base/index.ts'
import type { ShedFailure } from '../contract/index.ts'
import { changeStatus, noteStatus, type ShedsContext } from './context.ts'
import { loadSettled } from './load-settled.ts'
import { dropMemory } from './memory/stored-memory.ts'
import { type LoadedShed, loadAllSheds, loadShed, readShed } from './records/load-shed.ts'
import type { ShedRecord } from './records/shed-record.ts'
import { settleShed } from './settle-shed.ts'
import { endVm } from './vm/end-vm.ts'

/**
 * A lower that could not be verified before all of it was here is right: so was what its sheds have read. Each says so from its next transition on, which this is.
 * @see docs/decisions/0168-sheds-on-what-cannot-be-verified-yet.md
 */
export async function lowerIsRight(context: ShedsContext, chunkIndex: Digest): Promise<void> {
  await ofEachReader(context, {
    ...{ all: await loadAllSheds(context), chunkIndex },
    transition: async (name) => void (await loadSettled(context, name)),
  })
}

/**
 * It is wrong: nobody can say what was made of it. Every shed that was made from it fails, at once and for good: first its record says so, then its VM is ended, and what is on its disk stays as it
 * is. A kill in between leaves the rest to whoever settles it. Those that could not be failed are failed when this is called again.
 *
 * @returns the names of those that failed, in their order
 * @throws Problem RECORD_INVALID when a shed cannot be read: it may be one of them; NO_SPACE, SHED_BUSY, MACHINE_FAILED, CANCELLED
 */
export async function failSheds(
  context: ShedsContext,
  chunkIndex: Digest,
  { reason, since }: { readonly reason: string; readonly since: string },
): Promise<string[]> {
  const failure: ShedFailure = { code: 'DIGEST_MISMATCH', message: reason, at: since }
  const failed: string[] = []
  for (;;) {
    const all = await loadAllSheds(context)
    const before = failed.length
    await ofEachReader(context, {
      ...{ all, chunkIndex },
      async transition(name) {
        if (await failShed(context, { name, chunkIndex, failure })) failed.push(name)
      },
    })
    const unreadable = all.find(({ problem }) => problem !== undefined)?.problem
    if (unreadable !== undefined) throw unreadable
    // A fork of one of them may have come to be meanwhile: once all of them say so, no other does.
    if (failed.length === before) return failed.sort()
  }
}

/**
 * Refuses what goes on from the disk or the memory of a shed that has failed since that was cut, or is gone, and nobody can say of what. Its own record is there, so that whoever fails the sheds
 * of a lower after this finds it.
 *
 * @throws Problem SHED_FAILED
 */
export async function refuseForkOfFailed(
  context: ShedsContext,
  { lazy, forked_from: from }: ShedRecord,
): Promise<void> {
  if (lazy?.unverified !== true || from === undefined) return
  const source = await readShed(context.layout, from.name).catch(unlessBroken)
  if (source?.id === from.id && source.failure === undefined) return
  const why = source?.failure === undefined ? 'it is gone, and nothing of its image was verified' : 'it has failed'
  throw new Problem('SHED_FAILED', `nothing goes on from the shed ${from.name}: ${why}`, {
    hint: 'make a new one: cowshed create',
  })
}

interface FailShed {
  readonly name: string
  readonly chunkIndex: Digest
  readonly failure: ShedFailure
}

/** @returns whether it has failed by this */
async function failShed(context: ShedsContext, { name, chunkIndex, failure }: FailShed): Promise<boolean> {
  const record = await loadShed(context, name)
  if (!reads(record, chunkIndex)) return false
  if (record.status === 'creating' || record.status === 'deleting') {
    // What was cut off, and is to be gone.
    await settleShed(context, record)
    return false
  }
  const change = { status: 'failed', reason: failure.message } as const
  const { record: failed, written } = await noteStatus(context, { ...record, failure }, change)
  await endVm(context, name)
  await dropMemory(context, name)
  // There is space again, perhaps.
  if (!written) await changeStatus(context, failed, change)
  return true
}

function reads({ lazy, failure }: ShedRecord, chunkIndex: Digest): boolean {
  return lazy?.unverified === true && lazy.chunk_index_digest === chunkIndex && failure === undefined
}

interface OfEachReader {
  readonly all: readonly LoadedShed[]
  readonly chunkIndex: Digest
  readonly transition: (name: string) => Promise<void>
}

/**
 * A transition of each shed that reads a lower, all at the same time: none waits for what another is in the middle of. One that went meanwhile needs none.
 *
 * @throws the first error, when all have ended
 */
async function ofEachReader(context: ShedsContext, { all, chunkIndex, transition }: OfEachReader): Promise<void> {
  const names = all.flatMap(({ name, record }) => (record !== undefined && reads(record, chunkIndex) ? [name] : []))
  await inParallel(names, names.length, async (name) => {
    await context.transitions.run(name, () => transition(name)).catch(unlessGone)
  })
}

function unlessGone(error: unknown): void {
  if (!isProblem(error, 'SHED_NOT_FOUND')) throw error
}

function unlessBroken(error: unknown): undefined {
  if (!isProblem(error, 'RECORD_INVALID')) throw error
}
