import { shortDigest } from '../../base/index.ts'
import type { CacheEntry } from '../../images/index.ts'
import type { DiskFile } from '../disk-file.ts'
import type { CachedFile } from '../inventory.ts'

/** An entry of the cache that is on disk. */
export interface CachedEntry extends Omit<CacheEntry, 'files'> {
  /** For people: `lower of debian:12`. */
  readonly name: string
  readonly files: readonly DiskFile[]
  /** Milliseconds since the epoch. */
  readonly lastUsedAt: number
}

/** What of the cache is on disk, the longest unused first. */
export function cachedEntries(derived: readonly CachedFile[], cache: readonly CacheEntry[]): CachedEntry[] {
  const onDisk = new Map(derived.map((file) => [file.path, file]))
  const entries = cache.flatMap((entry) => {
    const files = entry.files.flatMap(({ path }) => onDisk.get(path) ?? [])
    if (files.length === 0) return []
    return [{ ...entry, files, name: nameOf(entry), lastUsedAt: Math.max(...files.map((file) => file.modifiedAt)) }]
  })
  return entries.sort((a, b) => a.lastUsedAt - b.lastUsedAt || a.name.localeCompare(b.name))
}

/** So many images are named. */
const named = 2

function nameOf({ kind, digest, unit, images }: CacheEntry): string {
  const what = kind === 'layer' ? `${unit} ${shortDigest(digest)}` : unit
  const more = images.length > named ? ` and ${images.length - named} more` : ''
  return `${what} of ${images.slice(0, named).join(', ')}${more}`
}
