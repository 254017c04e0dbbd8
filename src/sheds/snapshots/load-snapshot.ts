import { join } from 'node:path'
import { type DataLayout, isName, isProblem, type memoryIn, Problem } from '../../base/index.ts'
import { fileStatus, namesIn } from '../../host/index.ts'
import { readRecord } from '../../state/index.ts'
import { SnapshotRecord, snapshotNotFound } from './snapshot-record.ts'

/** A snapshot whose record and disk are there. */
export interface LoadedSnapshot {
  readonly record: SnapshotRecord
  /** Its disk. */
  readonly path: string
  /** Where one of its volumes is, by the name that it had. */
  readonly volumePath: (volume: string) => string
  /** What all of it has on the filesystem: st_blocks × 512. */
  readonly physicalBytes: number
  /** What of that is its memory, if it has any. */
  readonly memory?: { readonly physicalBytes: number; readonly isCompressed: boolean } | undefined
}

/** One directory below snapshots/: what it is, or why it cannot be used. */
export type SnapshotEntry =
  | { readonly name: string; readonly snapshot: LoadedSnapshot; readonly problem?: undefined }
  | { readonly name: string; readonly snapshot?: undefined; readonly problem: Problem }

interface WithLayout {
  readonly layout: DataLayout
}

/** @throws Problem SNAPSHOT_NOT_FOUND; RECORD_INVALID for a directory whose record or disk is missing, damaged, or another snapshot's */
export async function loadSnapshot({ layout }: WithLayout, name: string): Promise<LoadedSnapshot> {
  // A name that no snapshot can have never becomes a path.
  if (!isName(name)) throw snapshotNotFound(name)
  const paths = layout.snapshot(name)
  // Without its directory it is gone, or was removed between two looks.
  const missing = async (path: string) =>
    (await fileStatus(paths.dir)) === undefined ? snapshotNotFound(name) : unusable(name, `there is no ${path}`)
  const record = await readRecord(paths.record, SnapshotRecord)
  if (record === undefined) throw await missing(paths.record)
  if (record.name !== name) throw unusable(name, `${paths.record} is the record of ${record.name}`)
  let physicalBytes = 0
  for (const { path, bytes } of snapshotDisks(layout, record)) {
    const disk = await fileStatus(path)
    if (disk === undefined) throw await missing(path)
    if (disk.size !== bytes) throw unusable(name, `${path} has ${disk.size} bytes, and had ${bytes}`)
    physicalBytes += disk.blocks * 512
  }
  const memory = record.memory && (await memoryOf(paths))
  return {
    record,
    path: snapshotDisk(layout, record),
    volumePath: (volume) => layout.snapshotVolume(name, volume),
    physicalBytes: physicalBytes + (memory?.physicalBytes ?? 0),
    memory,
  }
}

/** A disk without its memory is still a snapshot: whoever wants to go on from that is told. */
async function memoryOf(files: ReturnType<typeof memoryIn>): Promise<NonNullable<LoadedSnapshot['memory']>> {
  const { memSnap, memSnapZst, memoryRecord, vmSnap } = files
  const found = await Promise.all([memSnap, memSnapZst, memoryRecord, vmSnap].map(fileStatus))
  const [plain, compressed] = found
  return {
    physicalBytes: found.reduce((sum, file) => sum + (file?.blocks ?? 0) * 512, 0),
    isCompressed: plain === undefined && compressed !== undefined,
  }
}

/**
 * Whether what was opened by its paths until now was of this snapshot: one that was removed does not come back, though another may have its name.
 *
 * @throws Problem SNAPSHOT_NOT_FOUND
 */
export async function checkNotReplaced({ layout }: WithLayout, { name, id }: SnapshotRecord): Promise<void> {
  const there = await readRecord(layout.snapshot(name).record, SnapshotRecord)
  if (there?.id === id) return
  throw new Problem('SNAPSHOT_NOT_FOUND', `the snapshot ${name} was removed meanwhile`, {
    hint: 'see what there is now: cowshed snapshot ls',
  })
}

/** The same of one whose files are all in a directory of staging. */
export function stagedSnapshot(layout: DataLayout, record: SnapshotRecord, directory: string): LoadedSnapshot {
  const { dir } = layout.snapshot(record.name)
  const inStaging = (path: string) => join(directory, path.slice(dir.length + 1))
  return {
    record,
    path: inStaging(snapshotDisk(layout, record)),
    volumePath: (volume) => inStaging(layout.snapshotVolume(record.name, volume)),
    physicalBytes: 0,
  }
}

/** A snapshot that is there, whatever can be read of it. @throws Problem SNAPSHOT_NOT_FOUND */
export async function loadOrBroken(where: WithLayout, name: string): Promise<SnapshotEntry> {
  try {
    return { name, snapshot: await loadSnapshot(where, name) }
  } catch (error) {
    if (isProblem(error, 'RECORD_INVALID')) return { name, problem: error }
    throw error
  }
}

/** Every snapshot, by name, broken ones with their problem. What has a name that no snapshot can have is none. */
export async function loadAllSnapshots(where: WithLayout): Promise<SnapshotEntry[]> {
  const names = (await namesIn(where.layout.snapshots)).filter(isName).sort()
  const loaded = await Promise.all(names.map((name) => loadOrBroken(where, name).catch(unlessGone)))
  return loaded.flatMap((snapshot) => snapshot ?? [])
}

/** Where a snapshot has its disk. */
export function snapshotDisk(layout: DataLayout, { name, rootfs }: Pick<SnapshotRecord, 'name' | 'rootfs'>): string {
  const paths = layout.snapshot(name)
  return rootfs === 'ext4' ? paths.rootfs : paths.upper
}

/** Every disk that is in a snapshot, the shed's own first. */
export function snapshotDisks(
  layout: DataLayout,
  record: Pick<SnapshotRecord, 'name' | 'rootfs' | 'upper_bytes' | 'volumes'>,
): { readonly path: string; readonly bytes: number }[] {
  const volumes = record.volumes.flatMap(({ volume, bytes }) =>
    bytes === undefined ? [] : [{ path: layout.snapshotVolume(record.name, volume), bytes }],
  )
  return [{ path: snapshotDisk(layout, record), bytes: record.upper_bytes }, ...volumes]
}

/** The files of its memory, if it has any, as they are while that is not compressed. */
export function snapshotMemory(
  layout: DataLayout,
  { name, memory }: Pick<SnapshotRecord, 'name' | 'memory'>,
): { readonly path: string; readonly bytes: number }[] {
  if (memory === undefined) return []
  const { memoryRecord, memSnap, vmSnap } = layout.snapshot(name)
  return [
    { path: memoryRecord, bytes: memory.record_bytes },
    { path: vmSnap, bytes: memory.state_bytes },
    { path: memSnap, bytes: memory.ram_bytes },
  ]
}

/** All of them by their paths in the directory of the snapshot: what they are called wherever it goes. */
export function snapshotParts(
  layout: DataLayout,
  record: Parameters<typeof snapshotDisks>[1] & Pick<SnapshotRecord, 'memory'>,
): { readonly name: string; readonly path: string; readonly bytes: number }[] {
  const { dir } = layout.snapshot(record.name)
  const files = [...snapshotDisks(layout, record), ...snapshotMemory(layout, record)]
  return files.map((file) => ({ ...file, name: file.path.slice(dir.length + 1) }))
}

function unlessGone(error: unknown): undefined {
  if (!isProblem(error, 'SNAPSHOT_NOT_FOUND')) throw error
}

function unusable(name: string, why: string): Problem {
  return new Problem('RECORD_INVALID', `the snapshot ${name} is broken: ${why}`, {
    hint: `put back what is missing, or remove what is left of it: cowshed snapshot rm --force ${name}`,
    data: { name },
  })
}
