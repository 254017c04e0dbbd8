import { readInt64, readUInt64, writeInt64 } from './integers.ts'

/** i_format bits 1–3: where the content is. Layout 3 is a shorter form of 1 that cowshed neither writes nor reads. */
export const dataLayout = { flatPlain: 0, compressedFull: 1, flatInline: 2, chunkBased: 4 } as const

/** An inode's place is a slot of 32 bytes; its number (nid) is the number of the slot. */
export const slotBytes = 32
export const compactBytes = 32
export const extendedBytes = 64
/** i_u of an inode without blocks of its own. */
export const noBlock = 0xffffffff

/** The fixed part of an inode, as it is on disk. */
export interface InodeCore {
  readonly extended: boolean
  readonly layout: number
  /** i_xattr_icount: 0, or the size of the xattr area in units of 4 bytes with its 12-byte header counted as one. */
  readonly xattrCount: number
  /** With type bits. */
  readonly mode: number
  readonly links: number
  readonly size: number
  /** i_u: start block, number of compressed blocks, device number or chunk format. */
  readonly union: number
  readonly ino: number
  readonly uid: number
  readonly gid: number
  /** A compact inode has no time: it takes the superblock's. */
  readonly mtimeSeconds: number
  readonly mtimeNanoseconds: number
}

/** Writes an inode's fixed part at the start of `out`: 32 bytes for a compact one, 64 for an extended one. The rest must be zero already. */
export function encodeInodeCore(out: Buffer, core: InodeCore): void {
  out.writeUInt16LE((core.extended ? 1 : 0) | (core.layout << 1), 0)
  out.writeUInt16LE(core.xattrCount, 2)
  out.writeUInt16LE(core.mode, 4)
  out.writeUInt32LE(core.union, 16)
  out.writeUInt32LE(core.ino, 20)
  if (core.extended) {
    writeInt64(out, core.size, 8)
    out.writeUInt32LE(core.uid, 24)
    out.writeUInt32LE(core.gid, 28)
    writeInt64(out, core.mtimeSeconds, 32)
    out.writeUInt32LE(core.mtimeNanoseconds, 40)
    out.writeUInt32LE(core.links, 44)
  } else {
    out.writeUInt16LE(core.links, 6)
    out.writeUInt32LE(core.size, 8)
    out.writeUInt16LE(core.uid, 24)
    out.writeUInt16LE(core.gid, 26)
  }
}

/** Whether the inode whose first bytes these are is an extended one. */
export function isExtended(bytes: Buffer): boolean {
  return (bytes.readUInt16LE(0) & 1) === 1
}

/**
 * Reads an inode's fixed part; `epoch` is the superblock's time. Undefined when a field is beyond what a JavaScript number holds or a bit
 * is set that only newer layouts use.
 */
export function decodeInodeCore(
  bytes: Buffer,
  epoch: { readonly epochSeconds: number; readonly epochNanoseconds: number },
): InodeCore | undefined {
  const format = bytes.readUInt16LE(0)
  const extended = isExtended(bytes)
  const size = extended ? readUInt64(bytes, 8) : bytes.readUInt32LE(8)
  const mtimeSeconds = extended ? readInt64(bytes, 32) : epoch.epochSeconds
  if (format >> 4 !== 0 || size === undefined || mtimeSeconds === undefined) return undefined
  return {
    extended,
    layout: (format >> 1) & 7,
    xattrCount: bytes.readUInt16LE(2),
    mode: bytes.readUInt16LE(4),
    links: extended ? bytes.readUInt32LE(44) : bytes.readUInt16LE(6),
    size,
    union: bytes.readUInt32LE(16),
    ino: bytes.readUInt32LE(20),
    uid: extended ? bytes.readUInt32LE(24) : bytes.readUInt16LE(24),
    gid: extended ? bytes.readUInt32LE(28) : bytes.readUInt16LE(26),
    mtimeSeconds,
    mtimeNanoseconds: extended ? bytes.readUInt32LE(40) : epoch.epochNanoseconds,
  }
}

/** The device number as the kernel's new_encode_dev packs it: 12 bits of major, 20 of minor. */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0
}

export function decodeDevice(value: number): { readonly major: number; readonly minor: number } {
  return { major: (value >>> 8) & 0xfff, minor: (value & 0xff) | ((value >>> 12) & 0xfff00) }
}
