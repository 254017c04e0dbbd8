import { basename } from 'node:path'
import type { DataLayout } from '../base/index.ts'
import type { UsageFile, UsageReport } from '../contract/index.ts'
import { type DiskFile, distinct, sumSizes, unique } from './disk-file.ts'
import type { CachedFile, Inventory, ShedHolding } from './inventory.ts'
import type { Figures } from './usage-figures.ts'
import { type Category, derivedByDigest, filesByCategory, filesOfImage, imageName } from './usage-owners.ts'

export interface ServerIdentity {
  readonly serverName: string
  readonly backend: string
}

/**
 * The report of `system df`, from an inventory and what was measured of it. `physical_bytes` is what each file's blocks amount to; shared extents
 * count in every file. All other figures are of the disk itself.
 */
export function reportUsage(
  inventory: Inventory,
  figures: Figures,
  server: ServerIdentity,
  layout: DataLayout,
): UsageReport {
  const files = filesByCategory(inventory)
  const total = (category: Category, list: readonly DiskFile[]) => ({
    ...categoryTotal(list),
    ...figures.ofCategory(category),
  })
  const statuses = inventory.sheds.map(({ shed }) => shed.status)
  const row = fileRows(figures)
  return {
    server_name: server.serverName,
    backend: server.backend,
    generated_at: inventory.takenAt.toISOString(),
    accuracy: figures.accuracy,
    union_bytes: figures.union.atLeast,
    filesystem: figures.filesystem,
    images: imageRows(inventory, figures, layout),
    ...kernelFiles(inventory.kernels, row),
    sheds: inventory.sheds.map((shed) => shedRow(shed, { figures, layout, takenAt: inventory.takenAt })),
    caches: [
      ...inventory.derived.map((file) => cachedFile(file, row)),
      ...inventory.templates.map((file) => row(file, 'template')),
      ...otherKernelFiles(inventory.kernels).map((file) => row(file, 'kernel')),
      ...inventory.downloads.map((file) => row(file, 'download')),
      ...inventory.own.map((file) => row(file, 'daemon')),
    ],
    orphans: inventory.orphans.map((file) => row(file, file.why)),
    deleted: figures.deleted,
    totals: {
      images: total('images', unique(files.images)),
      sheds: {
        ...total('sheds', files.sheds),
        stopped: statuses.filter((status) => status !== 'running').length,
        running: statuses.filter((status) => status === 'running').length,
      },
      caches: total('caches', files.caches),
      orphans: total('orphans', files.orphans),
      all: { ...categoryTotal(unique(Object.values(files).flat())), ...figures.ofAll },
    },
    notes: notes(inventory, figures),
  }
}

type FileRow = (file: DiskFile, kind: string) => UsageFile

function fileRows(figures: Figures): FileRow {
  return ({ path, size }, kind) => ({ path, size, kind, ...figures.ofFile(path) })
}

function imageRows(inventory: Inventory, figures: Figures, layout: DataLayout): UsageReport['images'] {
  const derived = derivedByDigest(inventory)
  const row = fileRows(figures)
  return inventory.images.flatMap((image) => {
    const { entry, files } = image
    const made = filesOfImage(image, derived).filter((file): file is CachedFile => 'form' in file)
    const lower = made.find(({ kind }) => kind === 'lower')
    const path = lower?.path ?? layout.blob(entry.digest)
    const names = entry.tags.length === 0 ? [imageName(image)] : entry.tags
    const lastUsed = Math.max(...made.map(({ modifiedAt }) => modifiedAt))
    return names.map((name) => ({
      name,
      path,
      docker_ref: name,
      size: sumSizes(files),
      files: [...files.map((file) => row(file, 'blob')), ...made.map((file) => cachedFile(file, row))],
      ...figures.ofThing('image', imageName(image)),
      ...(made.length === 0 ? {} : { last_used_at: new Date(lastUsed).toISOString() }),
    }))
  })
}

interface ShedRow {
  readonly figures: Figures
  readonly layout: DataLayout
  readonly takenAt: Date
}

function shedRow({ shed, files }: ShedHolding, { figures, layout, takenAt }: ShedRow): UsageReport['sheds'][number] {
  const { upper, rootfs: own, console } = layout.shed(shed.name)
  const row = fileRows(figures)
  const rootfs = files.find((file) => file.path === upper || file.path === own)
  const log = files.find((file) => file.path === console)
  return {
    name: shed.name,
    status: shed.status,
    image: shed.image.ref,
    ...(rootfs === undefined ? {} : { rootfs: row(rootfs, rootfs.path === own ? 'rootfs' : 'upper') }),
    ...(log === undefined ? {} : { console_log: row(log, 'console') }),
    other_files: files.filter((file) => file !== rootfs && file !== log).map((file) => row(file, 'record')),
    total: sumSizes(files),
    ...figures.ofThing('shed', shed.name),
    last_used_at: shed.status === 'running' ? takenAt.toISOString() : shed.changed_at,
  }
}

function kernelFiles(files: readonly DiskFile[], row: FileRow): Pick<UsageReport, 'kernel' | 'initrd'> {
  const [kernel, initrd] = newestKernel(files)
  return {
    ...(kernel === undefined ? {} : { kernel: row(kernel, 'kernel') }),
    ...(initrd === undefined ? {} : { initrd: row(initrd, 'initrd') }),
  }
}

/** The newest kernel and its initrd: what the next shed boots. */
function newestKernel(files: readonly DiskFile[]): (DiskFile | undefined)[] {
  return ['vmlinuz', 'initrd'].map(
    (name) => files.filter((file) => basename(file.path) === name).sort((a, b) => b.modifiedAt - a.modifiedAt)[0],
  )
}

/** Older kernels, and what is kept beside each. */
function otherKernelFiles(files: readonly DiskFile[]): DiskFile[] {
  const newest = newestKernel(files)
  return files.filter((file) => !newest.includes(file))
}

function cachedFile(file: CachedFile, row: FileRow): UsageFile {
  return { ...row(file, file.form), last_used_at: new Date(file.modifiedAt).toISOString() }
}

function categoryTotal(files: readonly DiskFile[]) {
  return { files: distinct(files).length, ...sumSizes(files) }
}

const howTrue: Record<Figures['accuracy'], string | undefined> = {
  exact: undefined,
  block: 'exclusive bytes are the blocks of each file: on this filesystem no two files share any',
  bounds: 'exclusive bytes are at least what is said: how long the extents of a btrfs are is shown to root alone',
  estimate: 'exclusive bytes are the blocks of each file: this filesystem does not say what files share',
}

function notes({ foreign }: Inventory, { accuracy }: Figures): string[] {
  const [first] = foreign
  const others = foreign.length === 1 ? '' : ` and ${foreign.length - 1} more`
  return [
    'physical bytes count the blocks of each file; extents that files share are counted in every one of them',
    ...(howTrue[accuracy] === undefined ? [] : [howTrue[accuracy]]),
    ...(first === undefined ? [] : [`not cowshed's and not counted: ${first.path}${others}`]),
  ]
}
