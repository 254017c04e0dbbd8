import { lstat } from 'node:fs/promises'
import { problemFromSystem } from '../base/index.ts'

export interface Allocation {
  /** Apparent size in bytes; holes count. */
  readonly logicalBytes: number
  /** Bytes of the blocks that the filesystem lists for it; shared blocks count in full. */
  readonly physicalBytes: number
}

/**
 * What `ls` and `du` say of one file; a symbolic link is not followed.
 *
 * @throws Problem FILE_NOT_FOUND, PERMISSION_DENIED, IO_FAILED
 */
export async function allocation(path: string): Promise<Allocation> {
  try {
    const { size, blocks } = await lstat(path)
    // st_blocks counts 512 bytes whatever st_blksize says: inode(7).
    return { logicalBytes: size, physicalBytes: blocks * 512 }
  } catch (error) {
    throw problemFromSystem(error, `read the size of ${path}`)
  }
}
