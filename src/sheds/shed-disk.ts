import { type DataLayout, parseDigest } from '../base/index.ts'
import { createRootfs, createUpper } from '../disks/index.ts'
import type { Cloned } from '../host/index.ts'
import type { DriveSpec } from '../machines/index.ts'
import type { ShedsContext } from './context.ts'
import type { ShedRecord } from './shed-record.ts'
import type { LongWork } from './sheds.ts'

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
  { rootfs, image }: Pick<ShedRecord, 'rootfs' | 'image'>,
  work: LongWork,
): Promise<void> {
  const manifest = parseDigest(image.manifest_digest)
  if (rootfs === 'ext4') await images.ensureRootfs(manifest, work)
  else await images.ensureLower(manifest, work)
}

export interface FreshDisk extends Cloned {
  /** What it is a clone of. */
  readonly source: string
}

/**
 * Makes the disk of a shed as it is before its first boot. It is not durable yet: `to` belongs in staging.
 *
 * @throws Problem as createUpper does; for a root filesystem also what ensureRootfs throws
 */
export async function createDisk(
  { layout, images }: ShedsContext,
  { record, to, work }: { readonly record: ShedRecord; readonly to: string; readonly work: LongWork },
): Promise<FreshDisk> {
  const bytes = record.upper_bytes
  if (record.rootfs === 'erofs') {
    return { ...(await createUpper(layout, { bytes, to })), source: layout.upperTemplate(bytes) }
  }
  const manifest = parseDigest(record.image.manifest_digest)
  // Until the clone is made; it then needs neither the image nor the cache.
  using _hold = images.hold(manifest)
  const { path: source } = await images.ensureRootfs(manifest, work)
  return { ...(await createRootfs({ image: source, bytes, to })), source }
}

export interface ShedDrives {
  readonly drives: readonly DriveSpec[]
  /** Words of the kernel's command line. */
  readonly kernelArguments: readonly string[]
}

/** What a machine of the shed gets as its disks. @throws Problem as ensureLower does, unless the shed has a root filesystem of its own */
export async function drivesOf(
  { layout, images }: ShedsContext,
  record: ShedRecord,
  work: LongWork,
): Promise<ShedDrives> {
  const path = diskPath(layout, record)
  if (record.rootfs === 'ext4') {
    return { drives: [{ id: 'rootfs', path, readOnly: false }], kernelArguments: ['cowshed.rootfs=ext4'] }
  }
  const lower = await images.ensureLower(parseDigest(record.image.manifest_digest), work)
  return {
    drives: [
      { id: 'upper', path, readOnly: false },
      { id: 'lower', path: lower.path, readOnly: true },
      // The guest reads in the lower how many there are: guest/src/mounts.c.
      ...lower.parts.map((part, i) => ({ id: `lower-${i + 1}`, path: part.path, readOnly: true })),
    ],
    kernelArguments: [],
  }
}
