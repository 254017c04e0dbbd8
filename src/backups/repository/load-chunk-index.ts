import { inParallel } from '../../base/index.ts'
import { idIn, objectNames } from '../format/object-names.ts'
import { decodePackTable, type PackTable, packBytes, packFooterBytes, packTailBytes } from '../format/pack.ts'
import { decodePackIndex } from '../format/pack-index.ts'
import { openObject } from '../format/sealed-object.ts'
import { listAll } from '../targets/list-all.ts'
import type { TargetObject } from '../targets/target.ts'
import { ChunkIndex } from './chunk-index.ts'
import type { Repository } from './open-repository.ts'

export interface LoadedIndex {
  readonly index: ChunkIndex
  /** Names of packs that are not whole, or not packs: nothing of them is in the index. */
  readonly damagedPacks: readonly string[]
  /** Names of the objects that the tables of packs were read from. */
  readonly indexObjects: readonly string[]
}

/** For the end of a pack, before one knows how long its table is: enough for most. */
const guessBytes = 8 * 1024
const requestsAtOnce = 8

/**
 * Learns which chunks are there: only those of packs that are there now, and have the size that they should have. Indexes say it of most packs; of those that
 * a killed backup left behind, and of those whose index is damaged, the packs themselves do.
 */
export async function loadChunkIndex(repository: Repository, signal?: AbortSignal): Promise<LoadedIndex> {
  const { target } = repository
  const packs = await listAll(target, objectNames.packs, { signal })
  const indexObjects = (await listAll(target, objectNames.indexes, { signal })).map(({ name }) => name)
  const told = new Map<string, PackTable>()
  await inParallel(indexObjects, requestsAtOnce, async (name) => {
    for (const table of await readIndex(repository, name, signal)) told.set(table.pack, table)
  })
  const index = new ChunkIndex()
  const damagedPacks: string[] = []
  await inParallel(packs, requestsAtOnce, async (object) => {
    const table = told.get(idIn(object.name)) ?? (await readTable(repository, object, signal))
    if (table !== undefined && packBytes(table) === object.bytes) index.add(table)
    else damagedPacks.push(object.name)
  })
  return { index, damagedPacks, indexObjects }
}

/** None when it is damaged or gone: it only says what packs say too. */
async function readIndex({ target, keys }: Repository, name: string, signal?: AbortSignal): Promise<PackTable[]> {
  const bytes = await target.get(name, { signal })
  const content = bytes && openObject(keys, name, bytes)
  return (content && decodePackIndex(content)) ?? []
}

async function readTable(
  { target, keys }: Repository,
  { name, bytes }: TargetObject,
  signal?: AbortSignal,
): Promise<PackTable | undefined> {
  const last = async (length: number) => {
    const range = { offset: Math.max(0, bytes - length), length: Math.min(length, bytes) }
    return (await target.get(name, { signal, range })) ?? Buffer.alloc(0)
  }
  if (bytes < packFooterBytes) return undefined
  const end = await last(guessBytes)
  const length = packTailBytes(end)
  if (length === undefined || length > bytes) return undefined
  const tail = length <= end.length ? end.subarray(end.length - length) : await last(length)
  return decodePackTable(keys, idIn(name), tail)
}
