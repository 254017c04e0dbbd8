import { basename } from 'node:path'
import type { DataLayout } from '../base/index.ts'
import type { UsageFile, UsageReport } from '../contract/index.ts'
import { type DiskFile, distinct, sumSizes } from './disk-file.ts'
import type { CachedFile, Holdings, ShedHolding, SnapshotHolding, VolumeHolding } from './inventory.ts'
import type { KeptRows } from './kept-rows.ts'
import type { Figures } from './usage-figures.ts'
import { type Category, derivedByDigest, filesByCategory, filesOfImage, imageName } from './usage-owners.ts'

export interface ServerIdentity {
  readonly serverName: string
  readonly backend: string
}

/** What a report says as long as nothing changes on the disk. */
export type LastingReport = Omit<UsageReport, 'generated_at' | 'filesystem'>

export interface ReportUsage {
  readonly figures: Figures
  readonly server: ServerIdentity
  readonly layout: DataLayout
  /** Of the reports before. */
  readonly rows: KeptRows
}

/**
 * What the report of `system df` says of an inventory and what was measured of it. `physical_bytes` is what each file's blocks amount to; shared extents
 * count in every file. All other figures are of the disk itself.
 */
export function reportUsage(inventory: Holdings, given: ReportUsage): LastingReport {
  const { figures, server, layout } = given
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
    accuracy: figures.accuracy,
    union_bytes: figures.union.atLeast,
    images: imageRows(inventory, figures, layout),
    ...kernelFiles(inventory.kernels, row),
    sheds: inventory.sheds.map((shed) => shedRow(shed, given)),
    snapshots: inventory.snapshots.map((snapshot) => snapshotRow(snapshot, given)),
    volumes: inventory.volumes.map((volume) => volumeRow(volume, given)),
    caches: [
      ...inventory.derived.map((file) => cachedFile(file, row)),
      ...inventory.templates.map((file) => row(file, 'template')),
      ...otherKernelFiles(inventory.kernels).map((file) => row(file, 'kernel')),
      ...inventory.lazy.map((file) => row(file, 'lazy')),
      ...inventory.downloads.map((file) => row(file, 'download')),
      ...inventory.own.map((file) => row(file, 'daemon')),
    ],
    orphans: inventory.orphans.map((file) => row(file, file.why)),
    deleted: figures.deleted,
    totals: {
      images: total('images', files.images),
      sheds: {
        ...total('sheds', files.sheds),
        stopped: statuses.filter((status) => status !== 'running').length,
        running: statuses.filter((status) => status === 'running').length,
      },
      snapshots: total('snapshots', files.snapshots),
      volumes: total('volumes', files.volumes),
      caches: total('caches', files.caches),
      orphans: total('orphans', files.orphans),
      all: { ...categoryTotal(Object.values(files).flat()), ...figures.ofAll },
    },
    notes: notes(inventory, figures),
  }
}

/** The report as it is at the moment: a shed that runs is in use. */
export function reportAt(at: Date, told: LastingReport, filesystem: UsageReport['filesystem']): UsageReport {
  const { server_name, backend, ...rest } = told
  const now = at.toISOString()
  const sheds = told.sheds.map((row) => (row.status === 'running' ? { ...row, last_used_at: now } : row))
  return { server_name, backend, generated_at: now, filesystem, ...rest, sheds }
}

type FileRow = (file: DiskFile, kind: string) => UsageFile

function fileRows(figures: Figures): FileRow {
  return ({ path, size }, kind) => ({ path, size, kind, ...figures.ofFile(path) })
}

function imageRows(inventory: Holdings, figures: Figures, layout: DataLayout): UsageReport['images'] {
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
      ...(entry.isPinned ? { pinned: true as const } : {}),
      files: [...files.map((file) => row(file, 'blob')), ...made.map((file) => cachedFile(file, row))],
      ...figures.ofThing('image', imageName(image)),
      ...(made.length === 0 ? {} : { last_used_at: new Date(lastUsed).toISOString() }),
    }))
  })
}

function shedRow(holding: ShedHolding, given: ReportUsage): UsageReport['sheds'][number] {
  const { shed, files } = holding
  return ownerRow(holding, given, given.figures.ofThing('shed', shed.name), (row, own) => {
    const { upper, rootfs: root, console, memSnap, memSnapZst, vmSnap, ram } = given.layout.shed(shed.name)
    const memory = [memSnap, memSnapZst, vmSnap, ram]
    const rootfs = files.find((file) => file.path === upper || file.path === root)
    const log = files.find((file) => file.path === console)
    return {
      name: shed.name,
      status: shed.status,
      image: shed.image.ref,
      ...(rootfs === undefined ? {} : { rootfs: row(rootfs, rootfs.path === root ? 'rootfs' : 'upper') }),
      ...(shed.protected === true ? { protected: true as const } : {}),
      ...(log === undefined ? {} : { console_log: row(log, 'console') }),
      other_files: files
        .filter((file) => file !== rootfs && file !== log)
        .map((file) => row(file, memory.includes(file.path) ? 'memory' : 'record')),
      total: sumSizes(files),
      ...own,
      last_used_at: shed.changed_at,
    }
  })
}

function snapshotRow(holding: SnapshotHolding, given: ReportUsage): UsageReport['snapshots'][number] {
  const { snapshot, files } = holding
  return ownerRow(holding, given, given.figures.ofThing('snapshot', snapshot.name), (row, own) => {
    const { upper, rootfs, volumes: inVolumes, memSnap, memSnapZst, vmSnap } = given.layout.snapshot(snapshot.name)
    const memory: string[] = [memSnap, memSnapZst, vmSnap]
    const disk = files.find(({ path }) => path === upper || path === rootfs)
    const volumes = files.filter(({ path }) => path.startsWith(`${inVolumes}/`))
    const others = files.filter((file) => file !== disk && !volumes.includes(file))
    return {
      name: snapshot.name,
      shed: snapshot.shed.name,
      status: snapshot.status,
      ...(snapshot.protected === true ? { protected: true as const } : {}),
      ...(disk === undefined ? {} : { disk: row(disk, 'snapshot'), last_used_at: snapshot.created_at }),
      volumes: volumes.map((file) => row(file, 'volume')),
      other_files: others.map((file) => row(file, memory.includes(file.path) ? 'memory' : 'record')),
      total: sumSizes(files),
      ...own,
    }
  })
}

function volumeRow(holding: VolumeHolding, given: ReportUsage): UsageReport['volumes'][number] {
  const { volume, files } = holding
  return ownerRow(holding, given, given.figures.ofThing('volume', volume.name), (row, own) => {
    const disk = files.find(({ path }) => path === given.layout.volume(volume.name).data)
    const used = disk && { disk: row(disk, 'volume'), last_used_at: new Date(disk.modifiedAt).toISOString() }
    return {
      name: volume.name,
      status: volume.status,
      ...(volume.protected === true ? { protected: true as const } : {}),
      ...used,
      other_files: files.filter((file) => file !== disk).map((file) => row(file, 'record')),
      total: sumSizes(files),
      ...own,
    }
  })
}

function ownerRow<T extends object>(
  holding: { readonly files: readonly DiskFile[] },
  { figures, rows }: ReportUsage,
  own: OwnFigures,
  make: (row: FileRow, own: OwnFigures) => T,
): T {
  const ofFiles = holding.files.map(({ path }) => figures.ofFile(path))
  return rows.row(holding, [own, ofFiles], () => make(fileRows(figures), own))
}

type OwnFigures = ReturnType<Figures['ofThing']>

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
  const each = distinct(files)
  return { files: each.length, ...sumSizes(each) }
}

const howTrue: Record<Figures['accuracy'], string | undefined> = {
  exact: undefined,
  block: 'exclusive bytes are the blocks of each file: on this filesystem no two files share any',
  bounds: 'exclusive bytes are at least what is said: how long the extents of a btrfs are is shown to root alone',
  estimate: 'exclusive bytes are the blocks of each file: this filesystem does not say what files share',
}

const overlooked =
  'who else shares what two things here share is not seen: this xfs has no reverse map (mkfs.xfs -m rmapbt=1), or shows it to root alone'

function notes({ foreign }: Holdings, { accuracy, overlooks }: Figures): string[] {
  const [first] = foreign
  const others = foreign.length === 1 ? '' : ` and ${foreign.length - 1} more`
  return [
    'physical bytes count the blocks of each file; extents that files share are counted in every one of them',
    ...(howTrue[accuracy] === undefined ? [] : [howTrue[accuracy]]),
    ...(overlooks ? [overlooked] : []),
    ...(first === undefined ? [] : [`not cowshed's and not counted: ${first.path}${others}`]),
  ]
}
