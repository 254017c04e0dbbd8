import { rm, stat } from 'node:fs/promises'
import { errnoCode, problemFromSystem } from '../../base/index.ts'
import type { ImagesContext } from '../images-context.ts'
import { type CacheEntry, inUse, listCache } from './list-cache.ts'

export interface EvictEntry extends Pick<CacheEntry, 'kind' | 'digest' | 'unit'> {
  /** When it was last used as the caller knew it, in milliseconds since the epoch: one that has been used since stays. */
  readonly ifUnusedSince: number
}

export interface Evicted {
  readonly entry: EvictEntry
  /** Why it stays; undefined when it went. */
  readonly keptBy?: string
}

/**
 * Removes those of some entries of the cache that nobody has open and that can be made again. That is looked at here, where nothing can come to need
 * one unseen, and not believed from whoever asks.
 *
 * A shed that starts holds its image, then waits until we are done, then looks whether its lower is there: either we see its hold, or it
 * sees that the lower has gone and builds it again. A crash leaves entries of which some files are missing, which counts as not being there.
 *
 * @throws Problem RECORD_INVALID as listCache does: then nothing has been removed
 */
export function evict(context: ImagesContext, entries: readonly EvictEntry[]): Promise<Evicted[]> {
  return context.leases.removal(async () => {
    // Who held an image before we looked, and let go of it since, may have it open without our having seen the shed.
    using watch = context.leases.watchHolds()
    const now = new Map((await listCache(context)).map((entry) => [keyOf(entry), entry]))
    const outcomes: Evicted[] = []
    for (const entry of entries) {
      const known = now.get(keyOf(entry))
      const keptBy = known === undefined ? 'no image has it any more' : await whyStays(known, entry)
      // Nothing is awaited between this look and the removal of the first file.
      const isHeld = known?.manifests.some((manifest) => watch.held.has(manifest)) === true
      if (keptBy !== undefined) outcomes.push({ entry, keptBy })
      else if (isHeld || context.leases.isLeased(entry.digest)) outcomes.push({ entry, keptBy: inUse })
      else {
        await removeAll(known?.files ?? [])
        outcomes.push({ entry })
      }
    }
    return outcomes
  })
}

function keyOf({ kind, digest, unit }: Pick<CacheEntry, 'kind' | 'digest' | 'unit'>): string {
  return `${kind} ${unit} ${digest}`
}

async function whyStays({ keptBy, files }: CacheEntry, { ifUnusedSince }: EvictEntry): Promise<string | undefined> {
  if (keptBy !== undefined) return keptBy
  const times = await Promise.all(files.map(({ path }) => lastUsed(path)))
  return Math.max(...times) > ifUnusedSince ? 'it has been used since the plan was made' : undefined
}

async function lastUsed(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return 0
    throw problemFromSystem(error, `look at ${path}`)
  }
}

async function removeAll(files: CacheEntry['files']): Promise<void> {
  for (const { path } of files) {
    try {
      await rm(path, { force: true })
    } catch (error) {
      throw problemFromSystem(error, `remove ${path}`)
    }
  }
}
