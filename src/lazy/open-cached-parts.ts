import { type DataLayout, type Digest, isProblem } from '../base/index.ts'
import { chunkMap } from '../formats/index.ts'
import { LeafCache } from './cache/leaf-cache.ts'
import { LeafHashes } from './cache/leaf-hashes.ts'
import { newCounters } from './counters.ts'
import type { LocalPart } from './fetch/part-origins.ts'
import { readLazyIndex } from './lazy-directory.ts'
import { hasAll } from './look-at-leaves.ts'

/** A part of a lower that some is here of. */
export interface CachedPart extends LocalPart {
  /** All of it. */
  readonly bytes: number
}

/** What is here of a lazy lower, for those who read another one that has some of its parts. */
export interface CachedParts extends AsyncDisposable {
  /** By the digests of the blobs. */
  readonly parts: ReadonlyMap<Digest, CachedPart>
}

/**
 * Opens the cache of a lazy lower to read from. Others fill it meanwhile, and may remove its name: what is open stays readable.
 *
 * @returns undefined when it is not there, or cannot be read: then it is of no help
 */
export async function openCachedParts(layout: DataLayout, chunkIndex: Digest): Promise<CachedParts | undefined> {
  try {
    const index = await readLazyIndex(layout, chunkIndex)
    if (index === undefined) return undefined
    const hashes = new LeafHashes(index, chunkMap(index).lowerBytes)
    const { data: path } = layout.lazyLower(chunkIndex)
    const cache = await LeafCache.open({ path, hashes, counters: newCounters(), isFinal: true })
    const parts = new Map<Digest, CachedPart>()
    let offset = 0
    for (const { digest, lengths } of index.parts) {
      const bytes = lengths.reduce((sum, length) => sum + length, 0)
      const begin = offset
      parts.set(digest, { fd: cache.fd, offset, bytes, has: (from, length) => hasAll(cache, begin + from, length) })
      offset += bytes
    }
    return { parts, [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose]() }
  } catch (error) {
    if (isProblem(error)) return undefined
    throw error
  }
}
