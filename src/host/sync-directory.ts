import { constants } from 'node:fs'
import { problemFromSystem } from '../base/index.ts'
import { syncPath } from './sync-path.ts'

/**
 * Makes the names in a directory durable: what was created, renamed or removed in it before this call survives a power cut after it.
 *
 * @throws Problem FILE_NOT_FOUND, IO_FAILED
 * @see fsync(2): "Calling fsync() does not necessarily ensure that the entry in the directory containing the file has also reached disk."
 */
export async function syncDirectory(path: string): Promise<void> {
  try {
    await syncPath(path, { flags: constants.O_RDONLY | constants.O_DIRECTORY })
  } catch (error) {
    throw problemFromSystem(error, `sync the directory ${path}`)
  }
}
