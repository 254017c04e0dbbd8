import { mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isProblem, Problem, parseDigest, parseName, problemFromSystem } from '../../base/index.ts'
import { readSnapshotFile, type SnapshotFileStep, snapshotFileInvalid } from '../../formats/index.ts'
import { decompress, openStaging, writeSparse } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'
import type { LongWork } from '../sheds.ts'
import { installSnapshot } from './install-snapshot.ts'
import { loadAllSnapshots } from './load-snapshot.ts'
import { recordFromElsewhere } from './record-from-elsewhere.ts'
import { type SnapshotRecord, snapshotExists } from './snapshot-record.ts'

export interface ImportSnapshot extends LongWork {
  readonly source: AsyncIterable<Buffer>
  /** What to call it; as it was called where it came from unless told. */
  readonly name?: string | undefined
}

export interface ImportedSnapshot {
  readonly name: string
  readonly outcome: 'imported' | 'unchanged'
}

/**
 * Makes a snapshot of what `exportSnapshot` has written, here or elsewhere. Nothing is visible before all of it is proved; only an image that came with it
 * and was taken in stays when the snapshot then finds no place.
 *
 * @throws Problem SNAPSHOT_FILE_INVALID, SNAPSHOT_ALREADY_EXISTS, INVALID_REQUEST (the name), NO_SPACE, CANCELLED; of the image what loading one throws. There
 *   is no new snapshot then
 */
export async function importSnapshot(
  context: ShedsContext,
  { source, name, ...work }: ImportSnapshot,
): Promise<ImportedSnapshot> {
  const { layout, events } = context
  if (name !== undefined) parseName(name, 'name for a snapshot')
  await using staging = await openStaging(layout, 'import')
  let record: SnapshotRecord | undefined
  for await (const step of readSnapshotFile(decompressed(source, work.signal))) {
    if (step.kind === 'header') {
      record = recordFromElsewhere(layout, step.header, snapshotFileInvalid)
      const present = await findPresent(context, record, name)
      if (present !== undefined) return { name: present, outcome: 'unchanged' }
    }
    if (step.kind === 'part') await writePart(step, join(staging.path, step.name), work)
    if (step.kind === 'image' && record !== undefined) await takeImage(context, step.source, { record, ...work })
  }
  if (record === undefined) throw snapshotFileInvalid('it says nothing of itself')
  const named = { ...record, name: name ?? record.name }
  await installSnapshot(layout, { record: named, directory: staging.path })
  events.append({ type: 'snapshot.imported', subject: named.name, message: `snapshot ${named.name} is imported` })
  return { name: named.name, outcome: 'imported' }
}

async function* decompressed(source: AsyncIterable<Buffer>, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  try {
    for await (const piece of decompress(source, { compression: 'zstd' })) {
      if (signal?.aborted) throw new Problem('CANCELLED', 'the import was stopped on request', { cause: signal.reason })
      yield piece
    }
  } catch (error) {
    throw isProblem(error, 'COMPRESSION_INVALID') ? snapshotFileInvalid(error.message, error) : error
  }
}

/**
 * A snapshot has its id wherever it goes: what is here already is not made again.
 *
 * @returns the name that it has here
 * @throws Problem SNAPSHOT_ALREADY_EXISTS when it is here under another name than is wanted, or the name is another snapshot's
 */
async function findPresent(
  context: ShedsContext,
  { id, name }: SnapshotRecord,
  wanted: string | undefined,
): Promise<string | undefined> {
  const all = await loadAllSnapshots(context)
  const same = all.find(({ snapshot }) => snapshot?.record.id === id)
  if (same !== undefined && (wanted ?? same.name) === same.name) return same.name
  if (same !== undefined) {
    throw new Problem('SNAPSHOT_ALREADY_EXISTS', `this snapshot is here already, and is called ${same.name}`, {
      hint: `use that one: cowshed snapshot info ${same.name}`,
    })
  }
  if (all.some((other) => other.name === (wanted ?? name))) throw snapshotExists(wanted ?? name)
  return undefined
}

async function writePart(
  { name, bytes, pieces }: Extract<SnapshotFileStep, { kind: 'part' }>,
  path: string,
  { onProgress }: LongWork,
): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await using file = await open(path, 'wx', 0o600)
    await file.truncate(bytes)
    let at = 0
    for await (const piece of pieces) {
      if (Buffer.isBuffer(piece)) await writeSparse(file, piece, at)
      at += Buffer.isBuffer(piece) ? piece.length : piece.hole
      onProgress?.({ phase: 'import', item: name, done: at, total: bytes })
    }
  } catch (error) {
    throw problemFromSystem(error, `write ${path}`)
  }
}

interface TakeImage extends LongWork {
  readonly record: SnapshotRecord
}

/** Becomes visible when the whole file has been found to be in order: its stream has no end before. */
async function takeImage(
  { images, events }: ShedsContext,
  stream: AsyncIterable<Buffer>,
  { record: { image }, ...work }: TakeImage,
): Promise<void> {
  const only = { manifest: parseDigest(image.manifest_digest), ref: image.ref }
  await images.load({ source: { stream }, only, ...work })
  events.append({ type: 'image.loaded', subject: image.ref, message: `${image.ref} is loaded, from a snapshot` })
}
