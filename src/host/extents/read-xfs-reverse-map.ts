import { lastError, libc } from '../libc.ts'
import { readUInt64 } from './read-fiemap.ts'

/** A run of blocks that a file has: who has what, seen from the disk. */
export interface MappedBlocks {
  /** Bytes. */
  readonly physical: number
  readonly length: number
  /** st_ino */
  readonly inode: number
}

/** linux/fsmap.h: fsmap_head with its two keys, 192 bytes, and fsmap, 64 bytes. */
const FS_IOC_GETFSMAP = 0xc0c0583b
const headBytes = 64
const recordBytes = 64
const recordsAt = headBytes + 2 * recordBytes
const perCall = 4096
const flag = { attributes: 0x2, extentMap: 0x4, special: 0x10, last: 0x20 } as const
/** Of special owners: the type of those that xfs has itself, and not the ones that every filesystem has. */
const ownersOfXfs = 'X'.charCodeAt(0)
const everything = 0xffff_ffff_ffff_ffffn

export interface XfsDevice {
  /** Any open file of the filesystem. */
  readonly fd: number
  /** st_dev of its files. */
  readonly device: number
}

/**
 * Whether the filesystem has a reverse map (mkfs.xfs -m rmapbt=1) and this process may read it (CAP_SYS_ADMIN): else all that is used is somebody's
 * unknown.
 *
 * @throws a system error
 */
export function hasXfsReverseMap(on: XfsDevice): boolean {
  // Its first blocks are xfs's own, if anybody's are known to be anyone's.
  const argument = request(on, 0, 4096, 1)
  return argument.readUInt32LE(12) > 0 && argument.readUInt32LE(recordsAt + 20) === ownersOfXfs
}

/** What files have of a range of the disk, in the order of addresses; pieces may reach out of it. @throws a system error */
export function* readXfsReverseMap(on: XfsDevice, first: number, end: number): Generator<MappedBlocks> {
  let argument = request(on, first, end, perCall)
  for (;;) {
    const count = argument.readUInt32LE(12)
    let at = recordsAt
    for (let left = count; left > 0; left--, at += recordBytes) {
      if ((argument.readUInt32LE(at + 4) & (flag.attributes | flag.extentMap | flag.special)) !== 0) continue
      yield {
        physical: readUInt64(argument, at + 8),
        inode: readUInt64(argument, at + 16),
        length: readUInt64(argument, at + 32),
      }
    }
    const last = at - recordBytes
    if (count < perCall || (argument.readUInt32LE(last + 4) & flag.last) !== 0) return
    argument = request(on, first, end, perCall, argument.subarray(last, last + recordBytes))
  }
}

/** @param after the last record of the call before */
function request({ fd, device }: XfsDevice, first: number, end: number, records: number, after?: Buffer): Buffer {
  const argument = Buffer.alloc(recordsAt + records * recordBytes)
  argument.writeUInt32LE(records, 8)
  if (after === undefined) {
    argument.writeUInt32LE(device, headBytes)
    argument.writeBigUInt64LE(BigInt(first), headBytes + 8)
  } else after.copy(argument, headBytes)
  const high = headBytes + recordBytes
  argument.writeUInt32LE(device, high)
  argument.writeUInt32LE(0xffff_ffff, high + 4)
  argument.writeBigUInt64LE(BigInt(Math.max(0, end - 1)), high + 8)
  argument.writeBigUInt64LE(everything, high + 16)
  argument.writeBigUInt64LE(everything, high + 24)
  if (libc().ioctl(fd, FS_IOC_GETFSMAP, argument) < 0) throw lastError('read the reverse map of the xfs')
  return argument
}
