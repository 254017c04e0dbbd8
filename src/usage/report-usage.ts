import { basename } from 'node:path'
import { type DataLayout, shortDigest } from '../base/index.ts'
import type { UsageFile, UsageReport } from '../contract/index.ts'
import { type DiskFile, distinct, sumSizes, unique } from './disk-file.ts'
import type { CachedFile, ImageHolding, Inventory, ShedHolding } from './inventory.ts'

export interface ServerIdentity {
  readonly serverName: string
  readonly backend: string
}

/** The report of `system df`, from an inventory. `physical_bytes` is what each file's blocks amount to; shared extents count in every file. */
export function reportUsage(inventory: Inventory, server: ServerIdentity, layout: DataLayout): UsageReport {
  const images = unique(inventory.images.flatMap((image) => image.files))
  const sheds = inventory.sheds.flatMap((shed) => shed.files)
  const { derived, templates, kernels, downloads, own } = inventory
  const caches = [...derived, ...templates, ...kernels, ...downloads, ...own]
  const lowers = new Set(inventory.derived.map((file) => file.path))
  const statuses = inventory.sheds.map(({ shed }) => shed.status)
  return {
    server_name: server.serverName,
    backend: server.backend,
    generated_at: inventory.takenAt.toISOString(),
    accuracy: 'block',
    images: inventory.images.flatMap((image) => imageRows(image, { layout, lowers })),
    ...kernelFiles(inventory.kernels),
    sheds: inventory.sheds.map((shed) => shedRow(shed, layout)),
    caches: [
      ...inventory.derived.map(cachedFile),
      ...inventory.templates.map((file) => usageFile(file, 'template')),
      ...otherKernelFiles(inventory.kernels).map((file) => usageFile(file, 'kernel')),
      ...downloads.map((file) => usageFile(file, 'download')),
      ...inventory.own.map((file) => usageFile(file, 'daemon')),
    ],
    orphans: inventory.orphans.map((file) => usageFile(file, file.why)),
    totals: {
      images: categoryTotal(images),
      sheds: {
        ...categoryTotal(sheds),
        stopped: statuses.filter((status) => status !== 'running').length,
        running: statuses.filter((status) => status === 'running').length,
      },
      caches: categoryTotal(caches),
      orphans: categoryTotal(inventory.orphans),
      all: categoryTotal([...images, ...sheds, ...caches, ...inventory.orphans]),
    },
    notes: notes(inventory),
  }
}

interface Lowers {
  readonly layout: DataLayout
  /** Paths of those that are there, among others. */
  readonly lowers: ReadonlySet<string>
}

function imageRows({ entry, files }: ImageHolding, { layout, lowers }: Lowers): UsageReport['images'] {
  const [main] = entry.manifests
  const lower = main === undefined ? undefined : layout.lower('plain', main.digest)
  const path = lower !== undefined && lowers.has(lower) ? lower : layout.blob(entry.digest)
  const names = entry.tags.length === 0 ? [`<none>@${shortDigest(entry.digest)}`] : entry.tags
  return names.map((name) => ({ name, path, docker_ref: name, size: sumSizes(files) }))
}

function shedRow({ shed, files }: ShedHolding, layout: DataLayout): UsageReport['sheds'][number] {
  const { upper, console } = layout.shed(shed.name)
  const rootfs = files.find((file) => file.path === upper)
  const log = files.find((file) => file.path === console)
  return {
    name: shed.name,
    status: shed.status,
    image: shed.image.ref,
    ...(rootfs === undefined ? {} : { rootfs: usageFile(rootfs, 'upper') }),
    ...(log === undefined ? {} : { console_log: usageFile(log, 'console') }),
    other_files: files.filter((file) => file !== rootfs && file !== log).map((file) => usageFile(file, 'record')),
    total: sumSizes(files),
  }
}

function kernelFiles(files: readonly DiskFile[]): Pick<UsageReport, 'kernel' | 'initrd'> {
  const [kernel, initrd] = newestKernel(files)
  return {
    ...(kernel === undefined ? {} : { kernel: usageFile(kernel, 'kernel') }),
    ...(initrd === undefined ? {} : { initrd: usageFile(initrd, 'initrd') }),
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

function cachedFile(file: CachedFile): UsageFile {
  return { ...usageFile(file, file.form), last_used_at: new Date(file.modifiedAt).toISOString() }
}

function usageFile({ path, size }: DiskFile, kind: string): UsageFile {
  return { path, size, kind }
}

function categoryTotal(files: readonly DiskFile[]) {
  return { files: distinct(files).length, ...sumSizes(files) }
}

function notes({ foreign }: Inventory): string[] {
  const shared =
    'physical bytes count the blocks of each file; extents that files share are counted in every one of them'
  if (foreign.length === 0) return [shared]
  const [first] = foreign
  const others = foreign.length === 1 ? '' : ` and ${foreign.length - 1} more`
  return [shared, `not cowshed's and not counted: ${first?.path}${others}`]
}
