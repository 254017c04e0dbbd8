import { type ImageSource, verifyChecksum } from './image-source.ts'
import { invalidImage } from './invalid.ts'
import { checkContent, mapBytes } from './read-content.ts'
import type { Inode } from './read-inode.ts'
import { readSymlink } from './read-symlink.ts'
import { noSharedXattrs, readXattrs } from './read-xattrs.ts'
import { unsoundName, type WalkedName, walkImage } from './walk-image.ts'

export interface VerifiedImage {
  readonly inodes: number
  /** Names in directories, without `.` and `..`. */
  readonly names: number
  /** Bytes of all files, each inode counted once. */
  readonly fileBytes: number
}

interface Seen {
  readonly first: WalkedName
  /** Names found; for a directory its own, its `.` and the `..` of each directory in it. */
  links: number
}

/**
 * Checks all that can be checked without a second opinion on file contents: the superblock's checksum, that directories are sorted trees
 * whose entries agree with the inodes, link counts, xattrs, symlinks, that all data lies inside the image, and that the superblock counts
 * as many inodes as there are.
 *
 * @throws Problem EROFS_INVALID for the first thing that is wrong
 */
export function verifyImage(source: ImageSource): VerifiedImage {
  verifyChecksum(source)
  const seen = new Map<Inode, Seen>()
  const check = contentChecker(source)
  let names = 0
  let fileBytes = 0
  for (const walked of walkImage(source)) {
    const { inode, parent } = walked
    const known = seen.get(inode)
    if (parent !== undefined) names++
    if (known !== undefined) {
      known.links++
      continue
    }
    seen.set(inode, { first: walked, links: inode.kind === 'directory' ? 2 : 1 })
    const above = parent === undefined ? undefined : seen.get(parent.inode)
    if (above !== undefined && inode.kind === 'directory') above.links++
    check(inode)
    if (inode.kind === 'file') fileBytes += inode.size
  }
  checkLinks(seen)
  if (seen.size !== source.superblock.inodes) {
    throw invalidImage(`the superblock counts ${source.superblock.inodes} inodes but ${seen.size} can be reached`)
  }
  return { inodes: seen.size, names, fileBytes }
}

function contentChecker(source: ImageSource): (inode: Inode) => void {
  const shared = noSharedXattrs()
  let mapped = 0
  return (inode) => {
    readXattrs(source, inode, shared)
    if (inode.kind === 'symlink') readSymlink(source, inode)
    if (inode.kind !== 'file') return
    mapped += mapBytes(source, inode)
    if (mapped > source.bytes) throw invalidImage('its chunk maps or extent indexes overlap')
    checkContent(source, inode)
  }
}

function checkLinks(seen: ReadonlyMap<Inode, Seen>): void {
  for (const [{ kind, links }, { first, links: found }] of seen) {
    // A count that does not fit 16 bits is stored as 1 by writers that keep to compact inodes.
    if (links === found || (kind === 'directory' && links === 1 && found > 0xffff)) continue
    throw unsoundName(first, `it has ${found} links but its inode counts ${links}`)
  }
}
