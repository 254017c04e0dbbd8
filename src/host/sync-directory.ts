import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { problemFromSystem } from '../base/index.ts'

/**
 * Makes the names in a directory durable: what was created, renamed or removed in it before this call survives a power cut after it.
 *
 * @throws Problem FILE_NOT_FOUND, IO_FAILED
 * @see fsync(2): "Calling fsync() does not necessarily ensure that the entry in the directory containing the file has also reached disk."
 */
export async function syncDirectory(path: string): Promise<void> {
  try {
    await using directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
    await directory.sync()
  } catch (error) {
    throw problemFromSystem(error, `sync the directory ${path}`)
  }
}
