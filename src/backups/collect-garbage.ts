import type { PackedChunk } from './format/chunk.ts'
import { objectNames } from './format/object-names.ts'
import { type PackTable, packBytes } from './format/pack.ts'
import type { Backup } from './repository/backups.ts'
import { type LoadedIndex, loadChunkIndex } from './repository/load-chunk-index.ts'
import type { RepositoryLock } from './repository/lock-repository.ts'
import type { Repository } from './repository/open-repository.ts'
import { PackWriter, writePackIndex } from './repository/pack-writer.ts'
import { readChunks } from './repository/read-chunks.ts'
import { readMaps } from './repository/read-maps.ts'
import { unreadableMap } from './repository/unreadable-map.ts'

export interface CollectGarbage {
  readonly repository: Repository
  /** Exclusive, unless nothing is to be removed. */
  readonly lock: RepositoryLock
  /** All backups that there are, listed with the lock, less those that are as good as removed. */
  readonly living: readonly Backup[]
  readonly dryRun?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

export interface CollectedGarbage {
  /** Bytes that the target has less of, as near as its objects say. */
  readonly freedBytes: number
  /** Bytes that stay. */
  readonly keptBytes: number
}

/** What is to become of each pack. */
interface Sorted {
  readonly kept: PackTable[]
  readonly emptied: PackTable[]
  /** Half of it or more is not needed: what is needed is put into new packs. */
  readonly sparse: { readonly table: PackTable; readonly needed: PackedChunk[] }[]
}

/**
 * Removes what no backup needs. Killed at any point it leaves a repository that has all that it had: what is needed is there anew before it goes.
 *
 * @throws Problem BACKUP_DAMAGED when a map cannot be read, and nothing is removed then; what the target throws
 */
export async function collectGarbage(options: CollectGarbage): Promise<CollectedGarbage> {
  const { repository, lock, living, dryRun, signal } = options
  const loaded = await loadChunkIndex(repository, signal)
  const needed = await neededChunks(repository, loaded, { living, signal })
  const sorted = sortPacks(loaded, needed)
  const sizes = bytesOf(sorted)
  if (dryRun === true) return sizes
  const fresh = await rewrite(repository, loaded, sorted, signal)
  // A host that was taken for dead deletes nothing: others have begun to rely on what is there.
  if (!(await lock.isHeld())) return { freedBytes: 0, keptBytes: sizes.keptBytes + sizes.freedBytes }
  // What seems damaged may be what is missing, and only have been read badly.
  const isAllThere = [...needed].every((id) => loaded.index.find(id) !== undefined)
  const useless = isAllThere ? loaded.damagedPacks : []
  await removeUnneeded(repository, loaded, { ...sorted, fresh, useless, signal })
  await repository.target.tidy()
  return sizes
}

async function neededChunks(
  repository: Repository,
  { index }: LoadedIndex,
  { living, signal }: Pick<CollectGarbage, 'living' | 'signal'>,
): Promise<Set<string>> {
  const manifests = living.map(({ manifest }) => manifest)
  const onDamaged = (map: string, why: string) => {
    throw unreadableMap(living, map, why)
  }
  const maps = await readMaps({ repository, index, manifests, signal, onDamaged })
  const needed = new Set<string>()
  for (const [map, chunks] of maps) {
    needed.add(map)
    for (const { id } of chunks) needed.add(id)
  }
  return needed
}

/** Of a chunk that is in two packs one is needed: the one that the index says. */
function sortPacks({ index }: LoadedIndex, needed: ReadonlySet<string>): Sorted {
  const sorted: Sorted = { kept: [], emptied: [], sparse: [] }
  for (const table of index.tables) {
    const here = table.chunks.filter(({ id }) => needed.has(id) && index.find(id)?.table === table)
    const bytes = storedBytes(here)
    if (here.length === 0) sorted.emptied.push(table)
    else if (bytes * 2 <= storedBytes(table.chunks)) sorted.sparse.push({ table, needed: here })
    else sorted.kept.push(table)
  }
  return sorted
}

/** Packs anew what is in sparse packs. A pack of which a chunk cannot be read stays as it is, for whoever may be able to mend it. */
async function rewrite(
  repository: Repository,
  { index }: LoadedIndex,
  sorted: Sorted,
  signal: AbortSignal | undefined,
): Promise<readonly PackTable[]> {
  await using writer = new PackWriter(repository, signal)
  const unreadable = new Set<PackTable>()
  const kinds = new Map(sorted.sparse.flatMap(({ needed }) => needed.map(({ id, kind }) => [id, kind] as const)))
  await readChunks({
    repository,
    index,
    ids: kinds.keys(),
    signal,
    onDamaged: (id) => {
      const table = index.find(id)?.table
      if (table !== undefined) unreadable.add(table)
    },
    onChunk: (id, content) => writer.add({ id, kind: kinds.get(id) ?? 'data', content }),
  })
  const fresh = await writer.finish()
  for (const entry of [...sorted.sparse]) {
    if (!unreadable.has(entry.table)) continue
    sorted.sparse.splice(sorted.sparse.indexOf(entry), 1)
    sorted.kept.push(entry.table)
  }
  return fresh
}

interface Removal extends Sorted {
  readonly fresh: readonly PackTable[]
  /** Packs that are not whole, and that nobody misses. */
  readonly useless: readonly string[]
  readonly signal: AbortSignal | undefined
}

/** Packs first, then a new index, then the old ones: whatever index is left over speaks of packs that are gone, and is not believed. */
async function removeUnneeded(
  repository: Repository,
  { indexObjects }: LoadedIndex,
  { kept, emptied, sparse, fresh, useless, signal }: Removal,
): Promise<void> {
  const { target } = repository
  const gone = [...emptied, ...sparse.map(({ table }) => table)]
  for (const { pack } of gone) await target.remove(objectNames.pack(pack), { signal })
  for (const name of useless) await target.remove(name, { signal })
  const tables = [...kept, ...fresh]
  if (indexObjects.length > 1 || gone.length > 0) {
    if (tables.length > 0) await writePackIndex(repository, tables, signal)
    for (const name of indexObjects) await target.remove(name, { signal })
  }
}

function bytesOf({ kept, emptied, sparse }: Sorted): CollectedGarbage {
  const rewritten = sparse.reduce((sum, { needed }) => sum + storedBytes(needed), 0)
  const sum = (tables: readonly PackTable[]) => tables.reduce((total, table) => total + packBytes(table), 0)
  return {
    freedBytes: sum(emptied) + sum(sparse.map(({ table }) => table)) - rewritten,
    keptBytes: sum(kept) + rewritten,
  }
}

function storedBytes(chunks: readonly PackedChunk[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.storedBytes, 0)
}
