import { constants, copyFileSync } from 'node:fs'

/** A copy that shares all extents; throws where files cannot. */
export function reflink(from: string, to: string): void {
  copyFileSync(from, to, constants.COPYFILE_FICLONE_FORCE)
}
