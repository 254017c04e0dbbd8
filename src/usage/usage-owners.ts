import { basename } from 'node:path'
import { type DataLayout, shortDigest } from '../base/index.ts'
import type { Shed, UsageOwner } from '../contract/index.ts'
import { type DeletedOpenFile, deletedOpenFiles } from '../host/index.ts'
import type { MeasuredFile, Ownership } from './accounting/measured-file.ts'
import type { DiskFile } from './disk-file.ts'
import type { CachedFile, Holdings, ImageHolding } from './inventory.ts'

/** The rows of the rollup, in the order of their numbers as owners. */
export const categories = ['images', 'sheds', 'snapshots', 'volumes', 'caches', 'orphans', 'deleted'] as const
export type Category = (typeof categories)[number]

/** Something of the inventory that has files. */
export interface Thing extends UsageOwner {
  readonly files: readonly DiskFile[]
}

/** An inventory as the accounting sees it: files by number, and whose they are. */
export interface UsageOwners {
  readonly files: readonly MeasuredFile[]
  /** By path. */
  readonly numbers: ReadonlyMap<string, number>
  readonly deleted: readonly DeletedOpenFile[]
  /** Templates and kernels first: in a crowd that shares something, they are where it came from. */
  readonly things: readonly Thing[]
  readonly byThing: Ownership
  readonly byCategory: Ownership
}

/** @param deleted what has no name any more and is open in this process or a VM's */
export function usageOwners(
  inventory: Holdings,
  layout: DataLayout,
  deleted: readonly DeletedOpenFile[] = deletedFiles(
    inventory.sheds.map(({ shed }) => shed),
    layout,
  ),
): UsageOwners {
  const { files, numbers } = numberFiles(inventory, layout)
  for (const file of deleted) files.push(deletedFile(file))
  const firstDeleted = files.length - deleted.length
  const things = thingsOf(inventory)
  const byThing = ownership(things.length, files.length)
  for (const [thing, { files: own }] of things.entries())
    for (const file of own) give(byThing, numbers.get(file.path), thing)
  const byCategory = ownership(categories.length, files.length)
  const lists = { ...filesByCategory(inventory), deleted: [] }
  for (const [category, name] of categories.entries()) {
    for (const file of lists[name]) give(byCategory, numbers.get(file.path), category)
  }
  for (const at of deleted.keys()) give(byCategory, firstDeleted + at, categories.indexOf('deleted'))
  return { files, numbers, deleted, things, byThing, byCategory }
}

export function deletedFiles(sheds: readonly Shed[], layout: DataLayout): DeletedOpenFile[] {
  return deletedOpenFiles(layout.root, [process.pid, ...sheds.flatMap(({ pid }) => pid ?? [])])
}

/** Each file is in one of them, whatever images have it besides. */
export function filesByCategory(inventory: Holdings): Record<Exclude<Category, 'deleted'>, DiskFile[]> {
  return {
    images: inventory.images.flatMap(({ files }) => files),
    sheds: inventory.sheds.flatMap(({ files }) => files),
    snapshots: inventory.snapshots.flatMap(({ files }) => files),
    volumes: inventory.volumes.flatMap(({ files }) => files),
    caches: [
      ...inventory.derived,
      ...inventory.templates,
      ...inventory.kernels,
      ...inventory.lazy,
      ...inventory.downloads,
      ...inventory.own,
    ],
    orphans: [...inventory.orphans],
  }
}

/** Its blobs, and what is made from it: what goes with it, unless another image has it too. */
export function filesOfImage(
  { entry, files }: ImageHolding,
  derived: ReadonlyMap<string, readonly CachedFile[]>,
): DiskFile[] {
  const digests = new Set(entry.manifests.flatMap(({ digest, diffIds }) => [digest, ...diffIds]))
  return [...files, ...[...digests].flatMap((digest) => derived.get(digest) ?? [])]
}

export function derivedByDigest({ derived }: Holdings): Map<string, CachedFile[]> {
  const found = new Map<string, CachedFile[]>()
  for (const file of derived) found.set(file.digest, [...(found.get(file.digest) ?? []), file])
  return found
}

export function imageName({ entry }: ImageHolding): string {
  return entry.tags[0] ?? `<none>@${shortDigest(entry.digest)}`
}

function thingsOf(inventory: Holdings): Thing[] {
  const derived = derivedByDigest(inventory)
  const images = inventory.images.map((image) => ({
    kind: 'image',
    name: imageName(image),
    files: filesOfImage(image, derived),
  }))
  const ofImages = new Set(images.flatMap(({ files }) => files))
  const alone = (kind: string) => (file: DiskFile) => ({ kind, name: basename(file.path), files: [file] })
  return [
    ...inventory.templates.map(alone('template')),
    ...inventory.kernels.map(alone('kernel')),
    ...images,
    ...inventory.derived.filter((file) => !ofImages.has(file)).map((file) => alone(file.form)(file)),
    ...inventory.sheds.map(({ shed, files }) => ({ kind: 'shed', name: shed.name, files })),
    ...inventory.snapshots.map(({ snapshot, files }) => ({ kind: 'snapshot', name: snapshot.name, files })),
    ...inventory.volumes.map(({ volume, files }) => ({ kind: 'volume', name: volume.name, files })),
    ...inventory.lazy.map(alone('lazy')),
    ...inventory.downloads.map(alone('download')),
    ...inventory.own.map(alone('daemon')),
    ...inventory.orphans.map(alone('orphan')),
  ]
}

function numberFiles(inventory: Holdings, layout: DataLayout) {
  const names = new Map<string, DiskFile[]>()
  for (const file of [...Object.values(filesByCategory(inventory)).flat(), ...inventory.foreign]) {
    const known = names.get(file.inode)
    if (known === undefined) names.set(file.inode, [file])
    else if (!known.some(({ path }) => path === file.path)) known.push(file)
  }
  const files: MeasuredFile[] = []
  const numbers = new Map<string, number>()
  for (const paths of names.values()) {
    for (const { path } of paths) numbers.set(path, files.length)
    files.push(measuredFile(paths, layout))
  }
  return { files, numbers }
}

function measuredFile(names: readonly DiskFile[], layout: DataLayout): MeasuredFile {
  const [{ path, size, changedAt, inode, links }] = names as [DiskFile]
  const [device, number] = inode.split(':').map(Number)
  return {
    path,
    device: device ?? 0,
    inode: number ?? 0,
    logicalBytes: size.logical_bytes,
    allocatedBytes: size.physical_bytes,
    changedAt,
    namedElsewhere: links > names.length,
    // SQLite's.
    locked: path.startsWith(layout.indexDb),
  }
}

function deletedFile({ path, stats }: DeletedOpenFile): MeasuredFile {
  return {
    path,
    device: stats.dev,
    inode: stats.ino,
    logicalBytes: stats.size,
    allocatedBytes: stats.blocks * 512,
    changedAt: stats.ctimeMs,
    namedElsewhere: false,
  }
}

function ownership(owners: number, files: number): { owners: number; ofFile: number[][] } {
  return { owners, ofFile: Array.from({ length: files }, () => []) }
}

function give({ ofFile }: { ofFile: number[][] }, file: number | undefined, owner: number): void {
  const owners = file === undefined ? undefined : ofFile[file]
  // A file with two names in one place has one owner all the same.
  if (owners !== undefined && owners.at(-1) !== owner) owners.push(owner)
}
