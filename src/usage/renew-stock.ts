import type { MeasuredFile } from './accounting/measured-file.ts'
import type { DiskFile } from './disk-file.ts'
import type { Holdings } from './inventory.ts'
import type { UsageOwners } from './usage-owners.ts'

/** By path: see changedFiles. */
type Changed = ReadonlyMap<string, DiskFile>

/** The same things with what has become of their files. What has none of them is the same value. */
export function renewHoldings(taken: Holdings, changed: Changed): Holdings {
  return {
    ...taken,
    images: renewOwned(taken.images, changed),
    sheds: renewOwned(taken.sheds, changed),
    snapshots: renewOwned(taken.snapshots, changed),
    volumes: renewOwned(taken.volumes, changed),
    derived: renewFiles(taken.derived, changed),
    kernels: renewFiles(taken.kernels, changed),
    templates: renewFiles(taken.templates, changed),
    downloads: renewFiles(taken.downloads, changed),
    own: renewFiles(taken.own, changed),
    orphans: renewFiles(taken.orphans, changed),
    foreign: renewFiles(taken.foreign, changed),
  }
}

export function renewOwners(owners: UsageOwners, changed: Changed): UsageOwners {
  const files = [...owners.files]
  for (const [path, file] of changed) {
    const number = owners.numbers.get(path)
    const known = number === undefined ? undefined : files[number]
    // A file with several names is measured by the first.
    if (number !== undefined && known?.path === path) files[number] = renewMeasured(known, file)
  }
  return { ...owners, files, things: renewOwned(owners.things, changed) }
}

function renewMeasured(known: MeasuredFile, { size, changedAt }: DiskFile): MeasuredFile {
  return { ...known, logicalBytes: size.logical_bytes, allocatedBytes: size.physical_bytes, changedAt }
}

function renewOwned<T extends { readonly files: readonly DiskFile[] }>(all: readonly T[], changed: Changed): T[] {
  return all.map((one) => {
    const files = renewFiles(one.files, changed)
    return files === one.files ? one : { ...one, files }
  })
}

function renewFiles<T extends DiskFile>(files: readonly T[], changed: Changed): readonly T[] {
  return files.some(({ path }) => changed.has(path))
    ? files.map((file) => ({ ...file, ...changed.get(file.path) }))
    : files
}
