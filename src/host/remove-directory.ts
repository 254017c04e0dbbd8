import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errnoCode, newId, problemFromSystem } from '../base/index.ts'
import { syncDirectory } from './sync-directory.ts'

export interface RemoveDirectory {
  readonly dir: string
  /** On the same filesystem. */
  readonly staging: string
  /** For people: "the volume data". */
  readonly what: string
}

/**
 * Removes a directory with all that is in it: one rename makes it vanish, then its bytes are freed. Needs no space.
 *
 * @returns false when it was not there
 * @throws Problem IO_FAILED, PERMISSION_DENIED
 */
export async function removeDirectory({ dir, staging, what }: RemoveDirectory): Promise<boolean> {
  // Right into staging: on a full disk a directory of its own there could not be made.
  const leaving = join(staging, `leaving-${newId()}`)
  try {
    await mkdir(staging, { recursive: true, mode: 0o700 })
    await rename(dir, leaving)
    await syncDirectory(dirname(dir))
    await rm(leaving, { recursive: true, force: true })
    return true
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false
    throw problemFromSystem(error, `remove ${what}`)
  }
}
