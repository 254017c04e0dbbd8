import { mkdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { newId, Problem, parseName } from '../../base/index.ts'
import { fileStatus, openStaging } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'
import { type HeldPart, holdParts } from './hold-parts.ts'
import { installSnapshot } from './install-snapshot.ts'
import { loadAllSnapshots } from './load-snapshot.ts'
import { recordFromElsewhere } from './record-from-elsewhere.ts'
import { type SnapshotRecord, snapshotExists } from './snapshot-record.ts'

/** What keeps a snapshot elsewhere needs of it. */
export interface SnapshotFiles {
  /** For `RestoreSnapshot`. */
  readonly record: unknown
  /** Under names that have no slash. Nobody writes to them. */
  readonly files: readonly HeldPart[]
  /** Whether all that was read of them until now is of that record. @throws Problem SNAPSHOT_NOT_FOUND */
  readonly check: () => Promise<void>
}

/**
 * Puts the files of a snapshot into a directory, under the names that `SnapshotFiles` has.
 *
 * @returns what was said of it, and the files that are there
 */
export type FetchSnapshot = (
  directory: string,
) => Promise<{ readonly record: unknown; readonly files: readonly { readonly name: string; readonly bytes: number }[] }>

/** @throws Problem as holdParts does */
export async function snapshotFiles(context: ShedsContext, name: string): Promise<SnapshotFiles & AsyncDisposable> {
  const held = await holdParts(context, name)
  const files = held.parts.map((part) => ({ ...part, name: flat(part.name) }))
  const { record, check } = held
  return { record, files, check, [Symbol.asyncDispose]: async () => await held[Symbol.asyncDispose]() }
}

/**
 * Makes a snapshot of what was kept elsewhere, under a name of its own. It is the one that it was, with its id, unless that is here still: then it is
 * another one. Killed at any point, there is all of it or nothing.
 *
 * @throws Problem SNAPSHOT_ALREADY_EXISTS, BACKUP_DAMAGED for files that are not those of a snapshot, NO_SPACE; what `fetch` throws
 */
export async function restoreSnapshot(context: ShedsContext, name: string, fetch: FetchSnapshot): Promise<void> {
  const { layout, events } = context
  // Before anything is fetched.
  if ((await fileStatus(layout.snapshot(parseName(name, 'name for a snapshot')).dir)) !== undefined)
    throw snapshotExists(name)
  await using staging = await openStaging(layout, `restore-${name}`)
  const { record: value, files } = await fetch(staging.path)
  const parts = files.map((file) => ({ ...file, name: unflat(file.name) }))
  const record = { ...recordFromElsewhere(layout, { record: value, parts }, notOfSnapshot), name }
  for (const part of parts) {
    const to = join(staging.path, part.name)
    await mkdir(dirname(to), { recursive: true, mode: 0o700 })
    await rename(join(staging.path, flat(part.name)), to)
  }
  await installSnapshot(layout, { record: await asItself(context, record), directory: staging.path })
  events.append({ type: 'snapshot.restored', subject: name, message: `snapshot ${name} is restored` })
}

async function asItself(context: ShedsContext, record: SnapshotRecord): Promise<SnapshotRecord> {
  const isHere = (await loadAllSnapshots(context)).some(({ snapshot }) => snapshot?.record.id === record.id)
  return isHere ? { ...record, id: newId() } : record
}

/** `volumes.data.ext4` of `volumes/data.ext4`: no volume has a dot in its name. */
function flat(name: string): string {
  return name.replace('/', '.')
}

function unflat(name: string): string {
  return name.replace(/^([^.]+)\.([^.]+\.ext4)$/, '$1/$2')
}

function notOfSnapshot(why: string, cause?: unknown): Problem {
  return new Problem('BACKUP_DAMAGED', `it is not the backup of a snapshot: ${why}`, { cause })
}
