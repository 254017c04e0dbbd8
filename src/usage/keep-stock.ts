import type { DataLayout } from '../base/index.ts'
import type { DeletedOpenFile } from '../host/index.ts'
import type { MeasureRequest, Ownership } from './accounting/measured-file.ts'
import { changedFiles } from './changed-files.ts'
import type { DiskFile } from './disk-file.ts'
import { type Holdings, type InventorySources, takeStock } from './inventory.ts'
import { isSame, type LastAnswer, rememberLast } from './remember-last.ts'
import { renewHoldings, renewOwners } from './renew-stock.ts'
import { type UsageOwners, usageOwners } from './usage-owners.ts'

/** What is on disk, whose it is, and what is to be measured of it. */
export interface Stock {
  readonly holdings: Holdings
  readonly owners: UsageOwners
  readonly request: MeasureRequest
}

type Sources = Omit<InventorySources, 'layout'>
type Given = readonly [files: ReadonlyMap<string, DiskFile>, ...rest: readonly unknown[]]

/**
 * Takes stock again and again: the same value as long as what it is taken from is the same, and where files have only been written to, the last one with
 * what has become of them. Whose a file is depends on its name and on what else there is, never on what is in it.
 */
export function keepStock(layout: DataLayout): (sources: Sources, deleted: readonly DeletedOpenFile[]) => Stock {
  const take = rememberLast((...[files, images, sheds, snapshots, volumes, inWork, deleted]: Taken): Stock => {
    const holdings = takeStock({ layout, files, images, sheds, snapshots, volumes, inWork })
    const owners = usageOwners(holdings, layout, deleted)
    return { holdings, owners, request: measureRequest(owners) }
  }, renewStock)
  return ({ files, images, sheds, snapshots, volumes, inWork }, deleted) =>
    take(files, images, sheds, snapshots, volumes, inWork, deleted)
}

type Taken = [
  files: Sources['files'],
  images: Sources['images'],
  sheds: Sources['sheds'],
  snapshots: Sources['snapshots'],
  volumes: Sources['volumes'],
  inWork: Sources['inWork'],
  deleted: readonly DeletedOpenFile[],
]

function renewStock({ given, answer }: LastAnswer<Given, Stock>, [files, ...rest]: Given): Stock | undefined {
  const [filesThen, ...restThen] = given
  const changed = rest.every((one, at) => isSame(one, restThen[at])) ? changedFiles(filesThen, files) : undefined
  if (changed === undefined) return undefined
  const owners = renewOwners(answer.owners, changed)
  const request = { ...answer.request, files: owners.files }
  return { holdings: renewHoldings(answer.holdings, changed), owners, request }
}

/** Things, categories, and all of them as one. Files that are not cowshed's belong to nobody. */
export function measureRequest({ files, byThing, byCategory }: UsageOwners): MeasureRequest {
  const all: Ownership = { owners: 1, ofFile: byCategory.ofFile.map((owners) => (owners.length === 0 ? [] : [0])) }
  return { files, fresh: false, ownerships: [byThing, byCategory, all] }
}
