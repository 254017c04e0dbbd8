import { type Kind, typeBits, typeMask } from '../type-bits.ts'
import type { ImageSource } from './image-source.ts'
import {
  compactBytes,
  dataLayout,
  decodeDevice,
  decodeInodeCore,
  extendedBytes,
  isExtended,
  slotBytes,
} from './inode-core.ts'
import { invalidImage } from './invalid.ts'
import { xattrHeaderBytes } from './xattr-area.ts'

/** An inode as the image has it, its own fields checked; what it points at is checked when it is read. */
export interface Inode {
  /** The inode's number in the image: where it is, in units of 32 bytes. */
  readonly nid: number
  readonly kind: Kind
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly links: number
  /** Bytes of content. */
  readonly size: number
  readonly mtimeSeconds: number
  readonly mtimeNanoseconds: number
  readonly ino: number
  /** Of character and block devices; 0:0 for everything else. */
  readonly major: number
  readonly minor: number
  readonly layout: number
  /** Start block or chunk format, by layout. */
  readonly union: number
  /** Where the xattr area starts, in bytes from the image's start, and how long it is. */
  readonly xattrOffset: number
  readonly xattrBytes: number
}

const kinds = new Map<number, Kind>(Object.entries(typeBits).map(([kind, bits]) => [bits, kind as Kind]))
const layouts: readonly number[] = Object.values(dataLayout)

/** @throws Problem EROFS_INVALID when there is no sound inode, or one of a layout that is not supported */
export function readInode(source: ImageSource, nid: number): Inode {
  const name = `inode ${nid}`
  const offset = source.superblock.metaBlock * source.superblock.blockSize + nid * slotBytes
  const head = source.read(offset, compactBytes, name)
  const coreBytes = isExtended(head) ? extendedBytes : compactBytes
  const core = decodeInodeCore(
    coreBytes === compactBytes ? head : source.read(offset, coreBytes, name),
    source.superblock,
  )
  if (core === undefined) throw invalidImage(`${name} has a field out of range`)
  const kind = kinds.get(core.mode & typeMask)
  if (kind === undefined) throw invalidImage(`${name} has the unknown type 0${(core.mode & typeMask).toString(8)}`)
  if (!layouts.includes(core.layout)) throw invalidImage(`${name} is compressed in a way that is not supported`)
  if (core.layout === dataLayout.compressedFull && kind !== 'file')
    throw invalidImage(`${name} is compressed in a way that is not supported`)
  if (core.links === 0) throw invalidImage(`${name} has no links`)
  if (core.mtimeNanoseconds > 999_999_999) throw invalidImage(`${name} has ${core.mtimeNanoseconds} nanoseconds`)
  const device = decodeDevice(kind === 'char' || kind === 'block' ? core.union : 0)
  return {
    nid,
    kind,
    mode: core.mode & 0o7777,
    uid: core.uid,
    gid: core.gid,
    links: core.links,
    size: core.size,
    mtimeSeconds: core.mtimeSeconds,
    mtimeNanoseconds: core.mtimeNanoseconds,
    ino: core.ino,
    major: device.major,
    minor: device.minor,
    layout: core.layout,
    union: core.union,
    xattrOffset: offset + coreBytes,
    xattrBytes: core.xattrCount === 0 ? 0 : xattrHeaderBytes + (core.xattrCount - 1) * 4,
  }
}
