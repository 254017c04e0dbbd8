import { open } from 'node:fs/promises'
import { type DataLayout, problemFromSystem } from '../../base/index.ts'

/**
 * Makes the disk of a volume larger that no VM has open. What is on it is a guest's: nothing here reads it. The guest that mounts it next makes the filesystem
 * as large as the disk. Does nothing to one that is that large already.
 *
 * @throws Problem NO_SPACE, IO_FAILED
 */
export async function growVolume(layout: DataLayout, { name, bytes }: { name: string; bytes: number }): Promise<void> {
  const { data } = layout.volume(name)
  try {
    await using file = await open(data, 'r+')
    if ((await file.stat()).size >= bytes) return
    await file.truncate(bytes)
    await file.sync()
  } catch (error) {
    throw problemFromSystem(error, `make ${data} larger`)
  }
}
