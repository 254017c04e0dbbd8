import { type FileHandle, open } from 'node:fs/promises'
import { Problem, problemFromSystem } from '../../base/index.ts'
import { type SnapshotFilePart, writeSnapshotFile } from '../../formats/index.ts'
import { dataSegments, type Segment, zstd } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'
import { refuseSecrets } from '../secrets/secrets-in-memory.ts'
import { holdParts } from './hold-parts.ts'
import { checkNotReplaced, loadSnapshot } from './load-snapshot.ts'
import type { SnapshotRecord } from './snapshot-record.ts'

type Context = Pick<ShedsContext, 'layout' | 'images' | 'snapshotTurns' | 'snapshotUses'>

export interface ExportSnapshot {
  /** Whether its image goes with it. */
  readonly withImage: boolean
  /** Also when secrets may be in its memory. */
  readonly withSecrets?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** As much as `zstd` does unless told. */
const level = 3

/**
 * A snapshot as one compressed stream. What can be refused has been when the promise resolves.
 *
 * @throws Problem INVALID_REQUEST when there may be secrets in its memory, unless that is said; SNAPSHOT_NOT_FOUND, RECORD_INVALID, MEMORY_DAMAGED, NO_SPACE, SNAPSHOT_BUSY; of the image IMAGE_NOT_FOUND, IMAGE_INCOMPLETE; from the stream what
 *   reading throws, and CANCELLED: it is no snapshot then, and nobody takes it for one
 */
export async function exportSnapshot(
  context: Context,
  name: string,
  { withImage, withSecrets = false, signal }: ExportSnapshot,
): Promise<AsyncIterable<Buffer>> {
  const { record } = await loadSnapshot(context, name)
  refuseSecrets({ what: name, secrets: record.secrets_in_memory ?? [], withSecrets })
  const { manifest_digest: manifest } = record.image
  const source = withImage ? await context.images.archive([manifest], { signal }) : undefined
  const image = source && { bytes: source.bytes, source }
  return await begun(zstd(writeFiles(context, { record, image, signal }), level))
}

/** A stream whose first piece is there. Whoever gives it up ends it, also before he has asked for that. */
async function begun(stream: AsyncGenerator<Buffer, void>): Promise<AsyncIterable<Buffer>> {
  let first: IteratorResult<Buffer, void> | undefined = await stream.next()
  const iterator: AsyncIterator<Buffer, void> = {
    async next() {
      const piece = first ?? (await stream.next())
      first = undefined
      return piece
    },
    return: async () => await stream.return(),
  }
  return { [Symbol.asyncIterator]: () => iterator }
}

interface WriteFiles {
  /** As it was when it was asked for, and the image was chosen. */
  readonly record: SnapshotRecord
  readonly image: Parameters<typeof writeSnapshotFile>[0]['image']
  readonly signal: AbortSignal | undefined
}

/** All of it is open before the first byte is sent: a snapshot that is removed meanwhile is exported whole. */
async function* writeFiles(context: Context, { record, image, signal }: WriteFiles): AsyncGenerator<Buffer> {
  const files: FileHandle[] = []
  try {
    const parts = await openParts(context, { record, files })
    for await (const piece of writeSnapshotFile({ record, parts, image })) {
      if (signal?.aborted) throw new Problem('CANCELLED', 'the export was stopped on request', { cause: signal.reason })
      yield piece
    }
  } finally {
    await Promise.all(files.map((file) => file.close()))
  }
}

interface OpenParts extends Pick<WriteFiles, 'record'> {
  /** Gets what is opened. */
  readonly files: FileHandle[]
}

async function openParts(context: Context, { record, files }: OpenParts): Promise<SnapshotFilePart[]> {
  await using held = await holdParts(context, record.name)
  const parts: SnapshotFilePart[] = []
  for (const { name: part, path: find, bytes } of held.parts) {
    const path = await find()
    const file = await open(path).catch((error: unknown) => Promise.reject(problemFromSystem(error, `read ${path}`)))
    files.push(file)
    const segments = fewSegments(file.fd, bytes)
    parts.push({ name: part, bytes, segments, read: (segment) => readSegment(file, segment) })
  }
  await checkNotReplaced(context, record)
  return parts
}

const blockBytes = 512
const mostSegments = 1 << 16

/** The data of a file in whole blocks of tar. Holes that are hardly worth their place in a map are zeros, which compress well. */
function fewSegments(fd: number, bytes: number): Segment[] {
  for (let smallestHole = 64 << 10; ; smallestHole *= 4) {
    const segments: { offset: number; length: number }[] = []
    for (const { offset, length } of dataSegments(fd, 0, bytes)) {
      const start = offset - (offset % blockBytes)
      const end = Math.min(bytes, Math.ceil((offset + length) / blockBytes) * blockBytes)
      const last = segments.at(-1)
      if (last !== undefined && start - (last.offset + last.length) < smallestHole) last.length = end - last.offset
      else segments.push({ offset: start, length: end - start })
    }
    if (segments.length <= mostSegments) return segments
  }
}

const pieceBytes = 1 << 20

async function* readSegment(file: FileHandle, { offset, length }: Segment): AsyncGenerator<Buffer> {
  for (let done = 0; done < length; ) {
    // Another one each time: a thread compresses the last.
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, length - done))
    const { bytesRead } = await file.read(piece, 0, piece.length, offset + done)
    if (bytesRead === 0) return
    yield piece.subarray(0, bytesRead)
    done += bytesRead
  }
}
