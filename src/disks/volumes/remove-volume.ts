import type { DataLayout } from '../../base/index.ts'
import { removeDirectory } from '../../host/index.ts'
import { volumeNotFound } from './volume-record.ts'

/** Removes a volume that nobody uses. Needs no space. @throws Problem VOLUME_NOT_FOUND, IO_FAILED */
export async function removeVolume({ staging, volume }: DataLayout, name: string): Promise<void> {
  const removed = await removeDirectory({ dir: volume(name).dir, staging, what: `the volume ${name}` })
  if (!removed) throw volumeNotFound(name)
}
