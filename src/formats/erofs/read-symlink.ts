import type { ImageSource } from './image-source.ts'
import { invalidImage } from './invalid.ts'
import { readContent } from './read-content.ts'
import type { Inode } from './read-inode.ts'

/** PATH_MAX without its NUL. */
const maxTargetBytes = 4095

/** The bytes of a symlink's target. @throws Problem EROFS_INVALID */
export function readSymlink(source: ImageSource, inode: Inode): Buffer {
  if (inode.kind !== 'symlink') throw invalidImage(`inode ${inode.nid} is not a symbolic link`)
  if (inode.size === 0 || inode.size > maxTargetBytes) {
    throw invalidImage(`symbolic link ${inode.nid} has a target of ${inode.size} bytes`)
  }
  const target = readContent(source, inode, 0, inode.size)
  if (target.includes(0)) throw invalidImage(`the target of symbolic link ${inode.nid} holds a NUL`)
  return target
}
