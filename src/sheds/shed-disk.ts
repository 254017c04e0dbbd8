import { chmod } from 'node:fs/promises'
import { type DataLayout, parseDigest } from '../base/index.ts'
import { createRootfs, createUpper, loadVolume } from '../disks/index.ts'
import { type Cloned, cloneFile } from '../host/index.ts'
import type { DriveSpec } from '../machines/index.ts'
import type { ShedsContext } from './context.ts'
import { attachmentOf } from './lazy-lowers.ts'
import type { ShedRecord } from './records/shed-record.ts'
import type { LongWork } from './sheds.ts'
import type { LoadedSnapshot } from './snapshots/load-snapshot.ts'

/** The disk that a shed writes to. */
export function diskPath(layout: DataLayout, { name, rootfs }: Pick<ShedRecord, 'name' | 'rootfs'>): string {
  const paths = layout.shed(name)
  return rootfs === 'ext4' ? paths.rootfs : paths.upper
}

/**
 * Makes sure that what a shed's disks come from is there. The caller holds the image.
 *
 * @throws Problem as ensureLower and ensureRootfs do
 */
export async function ensureSource(
  { images }: ShedsContext,
  { rootfs, image, lazy }: Pick<ShedRecord, 'rootfs' | 'image' | 'lazy'>,
  work: LongWork,
): Promise<void> {
  // That is seen to when it starts.
  if (lazy !== undefined) return
  const manifest = parseDigest(image.manifest_digest)
  if (rootfs === 'ext4') await images.ensureRootfs(manifest, work)
  else await images.ensureLower(manifest, work)
}

export interface FreshDisk extends Cloned {
  /** What it is a clone of. */
  readonly source: string
}

export interface CreateDisk {
  readonly record: ShedRecord
  /** What it is made from; an empty upper, or the files of the image, when left out. */
  readonly snapshot?: LoadedSnapshot | undefined
  readonly to: string
  readonly work: LongWork
}

/**
 * Makes the disk of a shed as it is before its first boot. It is not durable yet: `to` belongs in staging.
 *
 * @throws Problem as createUpper does; for a root filesystem also what ensureRootfs throws
 */
export async function createDisk(
  { layout, images }: ShedsContext,
  { record, snapshot, to, work }: CreateDisk,
): Promise<FreshDisk> {
  const bytes = record.upper_bytes
  if (snapshot !== undefined) return await cloneSnapshot(snapshot.path, to)
  if (record.rootfs === 'erofs') {
    return { ...(await createUpper(layout, { bytes, to })), source: layout.upperTemplate(bytes) }
  }
  const manifest = parseDigest(record.image.manifest_digest)
  // Until the clone is made; it then needs neither the image nor the cache.
  using _hold = images.hold(manifest)
  const { path: source } = await images.ensureRootfs(manifest, work)
  return { ...(await createRootfs({ image: source, bytes, to })), source }
}

/** A snapshot cannot be written to; a disk that is made from it can. */
async function cloneSnapshot(source: string, to: string): Promise<FreshDisk> {
  const cloned = await cloneFile(source, to)
  await chmod(to, 0o600)
  return { ...cloned, source }
}

/** One line for each disk that was put in its place: which strategy this filesystem allows, and what it was made of. */
export function tellClone(
  { layout, events }: ShedsContext,
  record: ShedRecord,
  { strategy, source, logicalBytes }: FreshDisk,
): void {
  const to = diskPath(layout, record)
  events.append({
    type: 'disk.cloned',
    subject: record.name,
    message: `rootfs strategy=${strategy} src=${source} dst=${to} logical_bytes=${logicalBytes}`,
  })
}

/** What the guest knows the drive of a volume by: its virtio serial, of at most 20 bytes. */
export function volumeDrive(id: string): string {
  return `volume-${id}`
}

export function isVolumeDrive(drive: string): boolean {
  return drive.startsWith('volume-')
}

/** @throws Problem VOLUME_NOT_FOUND, RECORD_INVALID */
async function volumeDrives({ layout }: Pick<ShedsContext, 'layout'>, { volumes }: ShedRecord): Promise<DriveSpec[]> {
  return await Promise.all(
    volumes.map(async ({ volume, read_only: readOnly }) => {
      const { record } = await loadVolume(layout, volume)
      return { id: volumeDrive(record.id), path: layout.volume(volume).data, readOnly }
    }),
  )
}

/**
 * Every disk that a shed writes to, its own first: whoever cuts one of them cuts all of them at the same instant.
 *
 * @throws Problem VOLUME_NOT_FOUND, RECORD_INVALID
 */
export async function writableDrives(context: Pick<ShedsContext, 'layout'>, record: ShedRecord): Promise<DriveSpec[]> {
  return (await attachedDrives(context, record)).filter(({ readOnly }) => !readOnly)
}

/** Every disk of a shed but what it shares with others of its image: its own and its volumes. @throws Problem VOLUME_NOT_FOUND, RECORD_INVALID */
export async function attachedDrives(context: Pick<ShedsContext, 'layout'>, record: ShedRecord): Promise<DriveSpec[]> {
  return [ownDrive(context, record), ...(await volumeDrives(context, record))]
}

function ownDrive({ layout }: Pick<ShedsContext, 'layout'>, record: ShedRecord): DriveSpec {
  return { id: record.rootfs === 'ext4' ? 'rootfs' : 'upper', path: diskPath(layout, record), readOnly: false }
}

export interface ShedDrives {
  readonly drives: readonly DriveSpec[]
  /** Words of the kernel's command line. */
  readonly kernelArguments: readonly string[]
}

/** What a machine of the shed gets as its disks. @throws Problem as ensureLower and LazyLowers.serve do, unless the shed has a root filesystem of its own; VOLUME_NOT_FOUND */
export async function drivesOf(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<ShedDrives> {
  const own = ownDrive(context, record)
  const volumes = await volumeDrives(context, record)
  if (record.rootfs === 'ext4') return { drives: [own, ...volumes], kernelArguments: ['cowshed.rootfs=ext4'] }
  return { drives: [own, ...(await lowerDrives(context, record, work)), ...volumes], kernelArguments: [] }
}

async function lowerDrives(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<DriveSpec[]> {
  const { images, lazyLowers } = context
  if (record.lazy !== undefined) {
    const path = await lazyLowers.serve(record.name, attachmentOf(record.lazy), work)
    return [{ id: 'lower', path, readOnly: true, kind: 'nbd' }]
  }
  const lower = await images.ensureLower(parseDigest(record.image.manifest_digest), work)
  return [
    { id: 'lower', path: lower.path, readOnly: true },
    // The guest reads in the lower how many there are: guest/src/mounts.c.
    ...lower.parts.map((part, i) => ({ id: `lower-${i + 1}`, path: part.path, readOnly: true })),
  ]
}
