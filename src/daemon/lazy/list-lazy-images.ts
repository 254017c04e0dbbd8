import { stat } from 'node:fs/promises'
import { type DataLayout, type Digest, errnoCode } from '../../base/index.ts'
import type { LazyImage, LazyProgress, Shed } from '../../contract/index.ts'
import { type LazyUse, lazyUses, lookAtLeaves } from '../../lazy/index.ts'
import { progressAtRest, progressOf } from './lazy-progress.ts'
import { servingDirectory } from './serving-directory.ts'
import { readServing, type Serving } from './serving-status.ts'

export interface ListLazyImages {
  readonly layout: DataLayout
  readonly runDirectory: string
  readonly listSheds: () => Promise<readonly Shed[]>
  /** How many of those who serve a lower this daemon is connected to. */
  readonly watches: (chunkIndex: Digest) => number
}

/** Every image of which some is here, as it is now. @throws Problem PERMISSION_DENIED, IO_FAILED */
export async function listLazyImages(options: ListLazyImages): Promise<LazyImage[]> {
  const uses = await lazyUses(options.layout)
  if (uses.length === 0) return []
  const sheds = await options.listSheds()
  return await Promise.all(uses.map((use) => describe(options, use, sheds)))
}

/** The names of those that were made to read a lower in part, whether they run or not. */
export function lazyReaders(chunkIndex: Digest, sheds: readonly Shed[]): string[] {
  return sheds.flatMap(({ name, lazy }) => (lazy?.chunk_index_digest === chunkIndex ? [name] : []))
}

async function describe(options: ListLazyImages, use: LazyUse, sheds: readonly Shed[]): Promise<LazyImage> {
  const { chunkIndex, source, isOpen } = use
  const { data, record } = options.layout.lazyLower(chunkIndex)
  const [held, noted] = await Promise.all([statusOf(data), statusOf(record)])
  const lastUsed = Math.max(held?.mtimeMs ?? 0, noted?.mtimeMs ?? 0)
  const serving = await readServing(servingDirectory(options.runDirectory, chunkIndex))
  const progress = await progressNow(options, use, serving)
  const clients = serving.reduce((sum, { isAlive, clients }) => sum + (isAlive ? clients : 0), 0)
  return {
    status: isOpen ? 'served' : source === undefined ? 'broken' : 'idle',
    chunk_index_digest: chunkIndex,
    ...(source && {
      reference: source.reference,
      manifest_digest: source.manifest_digest,
      profile: source.profile,
      bytes: source.lower_bytes,
    }),
    physical_bytes: (held?.blocks ?? 0) * 512,
    ...(progress && { progress }),
    sheds: lazyReaders(chunkIndex, sheds),
    clients: Math.max(0, clients - options.watches(chunkIndex)),
    ...(lastUsed > 0 && { last_used_at: new Date(lastUsed).toISOString() }),
  }
}

async function progressNow(
  { layout }: ListLazyImages,
  { chunkIndex, source }: LazyUse,
  serving: readonly Serving[],
): Promise<LazyProgress | undefined> {
  const now = progressOf(serving)
  if (now !== undefined || source === undefined) return now
  const seen = await lookAtLeaves(layout, chunkIndex)
  return seen && progressAtRest(serving, seen, source.lower_bytes)
}

/** Undefined for what is not there: a prune may be at it. */
async function statusOf(path: string) {
  try {
    return await stat(path)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw error
  }
}
