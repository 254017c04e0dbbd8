import type { ByteName, Xattr } from '../erofs/tree.ts'
import { blockSize } from '../erofs/tree.ts'
import { splitXattrName } from '../erofs/xattr-area.ts'
import { unstorable } from './invalid-ext4.ts'
import { aclOnDisk } from './posix-acl.ts'
import { type StoredXattr, writeXattrs, xattrBytes, xattrMagic } from './xattr-entries.ts'

/** The part of an inode behind its fixed fields. */
export const inodeXattrArea = 96
const magicBytes = 4
const blockHeader = 32

/** Where the xattrs of an inode are. */
export interface PlacedXattrs {
  /** The end of the inode itself, if any are there. */
  readonly inInode: Buffer | undefined
  /** A block of their own for what has no room there; still without its checksum. */
  readonly inBlock: Buffer | undefined
}

export const noXattrs: PlacedXattrs = { inInode: undefined, inBlock: undefined }

/**
 * Puts xattrs into the inode as long as there is room, and the others into one block.
 *
 * @param drop hears of those that have no place in an ext4
 * @throws Problem EXT4_INVALID when they take more than that
 */
export function placeXattrs(
  xattrs: readonly Xattr[],
  path: () => ByteName,
  drop: (name: ByteName, why: string) => void,
): PlacedXattrs {
  if (xattrs.length === 0) return noXattrs
  const own: StoredXattr[] = []
  const others: StoredXattr[] = []
  for (const xattr of sortForDisk(xattrs.flatMap((each) => storedForm(each, drop)))) {
    const fits = magicBytes + xattrBytes([...own, xattr]) <= inodeXattrArea
    if (fits) own.push(xattr)
    else others.push(xattr)
  }
  const bytes = blockHeader + xattrBytes(others)
  if (others.length > 0 && bytes > blockSize) {
    throw unstorable(path(), `its xattrs take ${bytes} bytes beside the inode, more than the one block that there is`)
  }
  return { inInode: encodeInInode(own), inBlock: encodeBlock(others) }
}

function storedForm({ name, value }: Xattr, drop: (name: ByteName, why: string) => void): StoredXattr[] {
  const split = splitXattrName(name)
  if (split === undefined) {
    drop(name, 'ext4 has no place for it')
    return []
  }
  if (!name.startsWith('system.posix_acl_')) return [{ index: split.index, name: split.suffix, value }]
  const acl = aclOnDisk(value)
  if (acl !== undefined) return [{ index: split.index, name: split.suffix, value: acl }]
  drop(name, 'its value is no POSIX ACL')
  return []
}

/** The order in which the kernel looks for them in a block: it stops at the first one that comes later. */
function sortForDisk(xattrs: StoredXattr[]): StoredXattr[] {
  return xattrs.sort(
    (a, b) => a.index - b.index || a.name.length - b.name.length || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  )
}

function encodeInInode(xattrs: readonly StoredXattr[]): Buffer | undefined {
  if (xattrs.length === 0) return undefined
  const area = Buffer.alloc(inodeXattrArea)
  area.writeUInt32LE(xattrMagic, 0)
  writeXattrs(area, { start: magicBytes, base: magicBytes, xattrs })
  return area
}

function encodeBlock(xattrs: readonly StoredXattr[]): Buffer | undefined {
  if (xattrs.length === 0) return undefined
  const block = Buffer.alloc(blockSize)
  block.writeUInt32LE(xattrMagic, 0)
  // One inode refers to it, and it is one block.
  block.writeUInt32LE(1, 4)
  block.writeUInt32LE(1, 8)
  block.writeUInt32LE(writeXattrs(block, { start: blockHeader, base: 0, xattrs }), 12)
  return block
}
