import { mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type DataLayout, isProblem, newId, parseName } from '../../base/index.ts'
import { installDirectory, openStaging } from '../../host/index.ts'
import { stageRecord } from '../../state/index.ts'
import { formatVolume, volumeBytes } from './format-volume.ts'
import { loadVolume, type Volume } from './load-volume.ts'
import { type VolumeRecord, volumeExists } from './volume-record.ts'

export interface CreateVolume {
  readonly name: string
  readonly bytes: number
}

/**
 * Makes an empty volume. Killed at any point, there is all of it or nothing.
 *
 * @throws Problem INVALID_REQUEST, VOLUME_ALREADY_EXISTS, TOOL_NOT_FOUND, TOOL_FAILED, NO_SPACE; there is nothing new then
 */
export async function createVolume(layout: DataLayout, { name, bytes }: CreateVolume): Promise<Volume> {
  const size = volumeBytes(bytes)
  return await installVolume(layout, name, (path) => formatVolume({ path, name, bytes: size }))
}

/** Makes a volume of a disk that `make` puts where it is told to. @throws Problem VOLUME_ALREADY_EXISTS, and what `make` throws */
export async function installVolume(
  layout: DataLayout,
  name: string,
  make: (path: string) => Promise<void>,
): Promise<Volume> {
  const paths = layout.volume(parseName(name, 'name for a volume'))
  await using staging = await openStaging(layout, `volume-${name}`)
  await make(join(staging.path, basename(paths.data)))
  const record: VolumeRecord = { version: 1, name, id: newId(), created_at: new Date().toISOString() }
  await stageRecord(join(staging.path, basename(paths.record)), record)
  await mkdir(layout.volumes, { recursive: true, mode: 0o700 })
  try {
    await installDirectory({ from: staging.path, to: paths.dir })
  } catch (error) {
    throw isProblem(error, 'FILE_EXISTS') ? volumeExists(name, error) : error
  }
  return await loadVolume(layout, name)
}
