import { inParallel, isProblem } from '../../base/index.ts'
import { decompress } from '../../host/index.ts'
import { objectNames } from '../format/object-names.ts'
import { openPackedChunk } from '../format/pack.ts'
import type { ChunkIndex, ChunkPlace } from './chunk-index.ts'
import type { Repository } from './open-repository.ts'

interface ReadChunks {
  readonly repository: Repository
  readonly index: ChunkIndex
  /** Each is read once. */
  readonly ids: Iterable<string>
  readonly signal?: AbortSignal | undefined
  /** Several at the same time, in the order of packs. */
  readonly onChunk: (id: string, content: Buffer) => Promise<void> | void
  /** What cannot be had. When it throws, reading ends. */
  readonly onDamaged: (id: string, why: string) => void
}

/** One request reads so much, or a chunk. */
const runBytes = 4 << 20
/** What lies between two chunks that are wanted is read along if it is no more. */
const gapBytes = 64 * 1024
const requestsAtOnce = 4

/**
 * Reads chunks as few requests as may be. What is handed on is what was put in under that id, byte for byte, whatever the target says: a chunk whose bytes are
 * others is asked for once more, because a network errs too, and is then damaged.
 */
export async function readChunks({ ids, index, onDamaged, ...rest }: ReadChunks): Promise<void> {
  const places: ChunkPlace[] = []
  for (const id of new Set(ids)) {
    const place = index.find(id)
    if (place === undefined) onDamaged(id, 'no pack has it')
    else places.push(place)
  }
  await inParallel(runsOf(places), requestsAtOnce, (run) => readRun(run, { ...rest, index, onDamaged }))
}

/** Chunks of one pack that are one request, in order. */
function runsOf(places: readonly ChunkPlace[]): ChunkPlace[][] {
  const ordered = [...places].sort((a, b) => compare(a.table.pack, b.table.pack) || a.offset - b.offset)
  const runs: ChunkPlace[][] = []
  for (const place of ordered) {
    const run = runs.at(-1)
    if (run !== undefined && fits(run, place)) run.push(place)
    else runs.push([place])
  }
  return runs
}

function fits(run: readonly ChunkPlace[], place: ChunkPlace): boolean {
  const [first, last] = [run[0], run.at(-1)]
  if (first === undefined || last === undefined || first.table !== place.table) return false
  return endOf(place) - first.offset <= runBytes && place.offset - endOf(last) <= gapBytes
}

async function readRun(run: readonly ChunkPlace[], options: Omit<ReadChunks, 'ids'>): Promise<void> {
  const { onChunk, onDamaged } = options
  const [first, last] = [run[0], run.at(-1)]
  if (first === undefined || last === undefined) return
  const bytes = await fetchBytes(options, first, endOf(last) - first.offset)
  for (const place of run) {
    const start = place.offset - first.offset
    const sealed = bytes?.subarray(start, start + place.chunk.storedBytes)
    const content =
      (sealed && (await openChunk(options.repository, place, sealed))) ?? (await readAgain(options, place))
    if (content === undefined)
      onDamaged(place.chunk.id, `pack ${place.table.pack} has other bytes in its place, or is gone`)
    else await onChunk(place.chunk.id, content)
  }
}

async function readAgain(options: Omit<ReadChunks, 'ids'>, place: ChunkPlace): Promise<Buffer | undefined> {
  const bytes = await fetchBytes(options, place, place.chunk.storedBytes)
  return bytes && (await openChunk(options.repository, place, bytes))
}

async function fetchBytes(
  { repository, signal }: Omit<ReadChunks, 'ids'>,
  { table, offset }: ChunkPlace,
  length: number,
): Promise<Buffer | undefined> {
  return await repository.target.get(objectNames.pack(table.pack), { signal, range: { offset, length } })
}

async function openChunk(
  { keys }: Repository,
  { table, at, chunk }: ChunkPlace,
  sealed: Buffer,
): Promise<Buffer | undefined> {
  const stored = openPackedChunk(keys, table, { at, sealed })
  const content = stored && (chunk.compression === 'none' ? stored : await expand(stored, chunk.plainBytes))
  // Who has the key could have made a chunk with the id of another, and so could a defect.
  return content !== undefined && keys.chunkId(chunk.kind, content) === chunk.id ? content : undefined
}

async function expand(stored: Buffer, plainBytes: number): Promise<Buffer | undefined> {
  const pieces: Buffer[] = []
  try {
    for await (const piece of decompress(only(stored), { compression: 'zstd', maxBytes: plainBytes }))
      pieces.push(piece)
  } catch (error) {
    if (isProblem(error, 'COMPRESSION_INVALID') || isProblem(error, 'LIMIT_EXCEEDED')) return undefined
    throw error
  }
  return Buffer.concat(pieces)
}

async function* only(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

function endOf({ offset, chunk }: ChunkPlace): number {
  return offset + chunk.storedBytes
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
