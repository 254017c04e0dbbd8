import { Problem } from '../base/index.ts'
import type { UsageExplained, UsageOwner, UsageReport } from '../contract/index.ts'
import type { FilesystemSpace } from '../host/index.ts'
import type { Measurement, OwnersSpace } from './accounting/measured-file.ts'
import { type Bytes, noBytes } from './accounting/space.ts'
import { sumSizes } from './disk-file.ts'
import { type Category, categories, type Thing, type UsageOwners } from './usage-owners.ts'

type UsageFile = UsageReport['orphans'][number]
type Holding = Pick<UsageReport['totals']['all'], 'exclusive_bytes' | 'exclusive_bytes_max' | 'shared_bytes'>
type Owned = Holding & Pick<UsageReport['sheds'][number], 'shared_with'>

/** What was measured, by the names that a report has for things. */
export interface Figures {
  readonly accuracy: UsageReport['accuracy']
  /** See Measurement. */
  readonly overlooks: boolean
  readonly union: Bytes
  readonly deleted: UsageFile[]
  readonly ofAll: Holding
  ofCategory(category: Category): Holding
  ofThing(kind: string, name: string): Owned
  ofFile(path: string): Exclusive
}

type Exclusive = Pick<UsageFile, 'exclusive_bytes' | 'exclusive_bytes_max'>

export function usageFigures(owners: UsageOwners, measured: Measurement): Figures {
  const [things, groups, all] = measured.ownerships
  const { things: list, numbers, deleted } = owners
  const places = new Map(list.map(({ kind, name }, at) => [`${kind} ${name}`, at]))
  const named = (at: number): UsageOwner[] => {
    const thing = list[at]
    return thing === undefined ? [] : [{ kind: thing.kind, name: thing.name }]
  }
  const firstDeleted = owners.files.length - deleted.length
  return {
    accuracy: measured.accuracy,
    overlooks: measured.overlooks,
    union: measured.union,
    deleted: deleted.map(({ formerPath, stats }, at) => ({
      path: formerPath,
      size: { logical_bytes: stats.size, physical_bytes: stats.blocks * 512 },
      kind: 'deleted',
      ...exclusiveOf(measured.files[firstDeleted + at]),
    })),
    ofAll: holdingOf(all, 0),
    ofCategory: (category) => holdingOf(groups, categories.indexOf(category)),
    ofThing(kind, name) {
      const at = places.get(`${kind} ${name}`) ?? -1
      return { ...holdingOf(things, at), shared_with: (things?.closest[at] ?? []).flatMap(named) }
    },
    ofFile: (path) => exclusiveOf(measured.files[numbers.get(path) ?? -1]),
  }
}

/** Who shares what with one thing, from a measurement that was asked to explain it. */
export function explainThing(thing: Thing, { things }: UsageOwners, measured: Measurement): UsageExplained {
  const shares = [...(measured.explained ?? [])].flatMap(([other, bytes]) => {
    const owner = things[other]
    if (owner === undefined) return []
    const { exclusive_bytes: least, exclusive_bytes_max: most } = exclusiveOf(bytes)
    return [{ kind: owner.kind, name: owner.name, bytes: least, ...(most === undefined ? {} : { bytes_max: most }) }]
  })
  return {
    kind: thing.kind,
    name: thing.name,
    accuracy: measured.accuracy,
    size: sumSizes(thing.files),
    ...holdingOf(measured.ownerships[0], things.indexOf(thing)),
    shares: shares.sort((a, b) => b.bytes - a.bytes),
  }
}

/** @param name a shed, an image by any of its tags, or a file by its name or path @throws Problem FILE_NOT_FOUND */
export function findThing({ things }: UsageOwners, name: string, tags: ReadonlyMap<string, string>): Thing {
  const called = (kind: string | undefined, wanted: string) =>
    things.find((thing) => (kind === undefined || thing.kind === kind) && thing.name === wanted)
  const found =
    called('shed', name) ??
    called('image', tags.get(name) ?? name) ??
    called(undefined, name) ??
    things.find(({ files }) => files.some(({ path }) => path === name))
  if (found !== undefined) return found
  throw new Problem('FILE_NOT_FOUND', `nothing in the data directory is called ${name}`, {
    hint: 'see what there is: cowshed system df -v',
  })
}

function holdingOf(space: OwnersSpace | undefined, at: number): Holding {
  const exclusive = space?.exclusive[at] ?? noBytes
  const held = space?.held[at] ?? noBytes
  return { ...exclusiveOf(exclusive), shared_bytes: Math.max(0, held.atLeast - exclusive.atLeast) }
}

function exclusiveOf(bytes: Bytes | undefined): Exclusive {
  const { atLeast, atMost } = bytes ?? noBytes
  const most = Number.isSafeInteger(atMost) ? atMost : Number.MAX_SAFE_INTEGER
  return { exclusive_bytes: atLeast, ...(atMost === atLeast ? {} : { exclusive_bytes_max: most }) }
}

/** What the filesystem says of itself, beside what of it was found to be ours. */
export function filesystemFigures(
  { totalBytes, usedBytes, freeBytes, dataBytes, metadataBytes }: FilesystemSpace,
  { union, reservedBytes }: Measurement,
): UsageReport['filesystem'] {
  return {
    total_bytes: totalBytes,
    used_bytes: usedBytes,
    free_bytes: freeBytes,
    ...(metadataBytes === undefined ? {} : { metadata_bytes: metadataBytes }),
    other_bytes: Math.max(0, (dataBytes ?? usedBytes) - union.atLeast - reservedBytes),
    reserved_bytes: reservedBytes,
  }
}
