import { open } from 'node:fs/promises'
import { type DataLayout, errnoCode, isProblem, problemFromSystem } from '../../base/index.ts'
import { needsReplay } from '../../formats/index.ts'
import { volumeNotFound } from './volume-record.ts'

/**
 * Whether a volume can be mounted without a write: its journal is empty. One that has no ext4 superblock in order is not clean, either.
 *
 * @throws Problem VOLUME_NOT_FOUND, IO_FAILED
 */
export async function isCleanVolume(layout: DataLayout, name: string): Promise<boolean> {
  const { data } = layout.volume(name)
  try {
    await using file = await open(data, 'r')
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1024), 0, 1024, 1024)
    return !needsReplay(buffer.subarray(0, bytesRead))
  } catch (error) {
    if (isProblem(error, 'EXT4_INVALID')) return false
    if (errnoCode(error) === 'ENOENT') throw volumeNotFound(name)
    throw problemFromSystem(error, `read ${data}`)
  }
}
