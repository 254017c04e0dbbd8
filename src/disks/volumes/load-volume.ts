import { type DataLayout, isName, isProblem, Problem } from '../../base/index.ts'
import { fileStatus, namesIn } from '../../host/index.ts'
import { readRecord } from '../../state/index.ts'
import { VolumeRecord, volumeNotFound } from './volume-record.ts'

/** A volume whose record and disk are there. */
export interface Volume {
  readonly record: VolumeRecord
  /** Apparent size of its disk. */
  readonly bytes: number
  /** What that has on the filesystem: st_blocks × 512. */
  readonly physicalBytes: number
}

/** One directory below volumes/: what it is, or why it cannot be used. */
export type LoadedVolume =
  | { readonly name: string; readonly volume: Volume; readonly problem?: undefined }
  | { readonly name: string; readonly volume?: undefined; readonly problem: Problem }

/** @throws Problem VOLUME_NOT_FOUND; RECORD_INVALID for a directory whose record or disk is missing, damaged, or another volume's */
export async function loadVolume(layout: DataLayout, name: string): Promise<Volume> {
  const paths = layout.volume(name)
  // A name that no volume can have never becomes a path.
  if (!isName(name)) throw volumeNotFound(name)
  const record = await readRecord(paths.record, VolumeRecord)
  if (record === undefined) {
    if (await isThere(paths.dir)) throw unusable(name, `there is no ${paths.record}`)
    throw volumeNotFound(name)
  }
  if (record.name !== name) throw unusable(name, `${paths.record} is the record of ${record.name}`)
  const disk = await fileStatus(paths.data)
  // Without its directory it was removed between the two looks.
  if (disk === undefined)
    throw (await isThere(paths.dir)) ? unusable(name, `there is no ${paths.data}`) : volumeNotFound(name)
  return { record, bytes: disk.size, physicalBytes: disk.blocks * 512 }
}

/** Every volume, by name, broken ones with their problem. What has a name that no volume can have is none. */
export async function loadAllVolumes(layout: DataLayout): Promise<LoadedVolume[]> {
  const names = (await namesIn(layout.volumes)).filter(isName).sort()
  const loaded = await Promise.all(names.map((name) => loadOne(layout, name)))
  return loaded.flatMap((volume) => volume ?? [])
}

async function loadOne(layout: DataLayout, name: string): Promise<LoadedVolume | undefined> {
  try {
    return { name, volume: await loadVolume(layout, name) }
  } catch (error) {
    if (!isProblem(error)) throw error
    return error.code === 'VOLUME_NOT_FOUND' ? undefined : { name, problem: error }
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await fileStatus(path)) !== undefined
}

function unusable(name: string, why: string): Problem {
  return new Problem('RECORD_INVALID', `the volume ${name} is broken: ${why}`, {
    hint: `put back what is missing, or remove what is left of it: cowshed volume rm --force ${name}`,
    data: { name },
  })
}
