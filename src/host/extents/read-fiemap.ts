import { lastError, libc } from '../libc.ts'

/** One extent of a file as FIEMAP has it. */
export interface MappedExtent {
  /** Bytes, in the file and on the disk. */
  readonly logical: number
  readonly physical: number
  readonly length: number
  readonly flags: number
}

/** linux/fiemap.h */
export const fiemapFlag = { last: 0x1, unknown: 0x2, encoded: 0x8, inline: 0x200, tail: 0x400, shared: 0x2000 } as const

const FS_IOC_FIEMAP = 0xc020660b
const FIEMAP_FLAG_SYNC = 1
const headBytes = 32
const extentBytes = 56
const perCall = 2048

/**
 * The extents of an open file, those past its end included. What is dirty is written first: without that a clone that was just overwritten
 * still shows its old extents, as shared ones.
 *
 * @throws a system error, EOPNOTSUPP where the filesystem cannot tell
 * @see Linux, Documentation/filesystems/fiemap.rst
 */
export function* readFiemap(fd: number): Generator<MappedExtent> {
  const argument = spare ?? Buffer.alloc(headBytes + perCall * extentBytes)
  spare = undefined
  try {
    yield* extentsIn(fd, argument)
  } finally {
    spare = argument
  }
}

/** Thousands of files are looked at one after the other. */
let spare: Buffer | undefined

function* extentsIn(fd: number, argument: Buffer): Generator<MappedExtent> {
  for (let start = 0n; ; ) {
    argument.fill(0, 0, headBytes)
    argument.writeBigUInt64LE(start, 0)
    argument.writeBigUInt64LE(0xffff_ffff_ffff_ffffn - start, 8)
    argument.writeUInt32LE(FIEMAP_FLAG_SYNC, 16)
    argument.writeUInt32LE(perCall, 24)
    if (libc().ioctl(fd, FS_IOC_FIEMAP, argument) < 0) throw lastError('fiemap')
    const mapped = argument.readUInt32LE(20)
    for (let i = 0; i < mapped; i++) {
      const at = headBytes + i * extentBytes
      const length = readUInt64(argument, at + 16)
      const flags = argument.readUInt32LE(at + 40)
      yield { logical: readUInt64(argument, at), physical: readUInt64(argument, at + 8), length, flags }
      start = argument.readBigUInt64LE(at) + BigInt(length)
      if ((flags & fiemapFlag.last) !== 0) return
    }
    if (mapped === 0) return
  }
}

/** As a number: no disk has addresses beyond 2^53. */
export function readUInt64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32
}
