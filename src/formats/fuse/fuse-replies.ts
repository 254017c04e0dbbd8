import { fuseVersion } from './protocol.ts'

/** What the kernel may expect of the server. */
export interface FuseAgreement {
  /** In bytes. */
  readonly maxReadahead: number
  /** As fuseFeatures has them. */
  readonly features: bigint
  /** Of one read, in pages. */
  readonly maxPages: number
  /** Requests that nobody waits for, readahead above all, at a time. */
  readonly maxBackground: number
  /** How many filesystems files may lie upon each other that are passed through; 0 where none are. */
  readonly maxStackDepth: number
}

export interface FuseAttributes {
  readonly bytes: number
  /** Without the holes. */
  readonly storedBytes: number
  /** Type and permissions. */
  readonly mode: number
  readonly owner: number
  readonly group: number
  readonly modifiedSeconds: number
}

const headerBytes = 16
const blockBytes = 512
const preferredBytes = 4096
/** Nothing of the file ever changes. */
const validSeconds = 2 ** 31

/**
 * What goes before the payload of a reply; the kernel takes both in one write.
 *
 * @param payloadBytes what comes behind it
 * @see include/uapi/linux/fuse.h, struct fuse_out_header
 */
export function encodeFuseHeader(unique: bigint, payloadBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(headerBytes)
  bytes.writeUInt32LE(headerBytes + payloadBytes, 0)
  bytes.writeInt32LE(0, 4)
  bytes.writeBigUInt64LE(unique, 8)
  return bytes
}

/** @param errno as fuseErrors has them; 0 is an answer without anything in it */
export function encodeFuseError(unique: bigint, errno: number): Buffer {
  const bytes = encodeFuseHeader(unique, 0)
  bytes.writeInt32LE(-errno, 4)
  return bytes
}

/** struct fuse_init_out */
export function encodeFuseInit(agreement: FuseAgreement): Buffer {
  const bytes = Buffer.alloc(64)
  bytes.writeUInt32LE(fuseVersion.major, 0)
  bytes.writeUInt32LE(fuseVersion.minor, 4)
  bytes.writeUInt32LE(agreement.maxReadahead, 8)
  bytes.writeUInt32LE(Number(agreement.features & 0xffff_ffffn), 12)
  bytes.writeUInt16LE(agreement.maxBackground, 16)
  bytes.writeUInt16LE(agreement.maxBackground, 18)
  // Nothing is ever written; the kernel wants no less.
  bytes.writeUInt32LE(preferredBytes, 20)
  bytes.writeUInt32LE(1, 24)
  bytes.writeUInt16LE(agreement.maxPages, 28)
  bytes.writeUInt32LE(Number(agreement.features >> 32n), 32)
  bytes.writeUInt32LE(agreement.maxStackDepth, 36)
  return bytes
}

/** struct fuse_attr_out, struct fuse_attr */
export function encodeFuseAttributes(file: FuseAttributes): Buffer {
  const { bytes: size, storedBytes, mode, owner, group, modifiedSeconds } = file
  const bytes = Buffer.alloc(16 + 88)
  bytes.writeBigUInt64LE(BigInt(validSeconds), 0)
  const attributes = bytes.subarray(16)
  attributes.writeBigUInt64LE(1n, 0)
  attributes.writeBigUInt64LE(BigInt(size), 8)
  attributes.writeBigUInt64LE(BigInt(Math.ceil(storedBytes / blockBytes)), 16)
  for (const at of [24, 32, 40]) attributes.writeBigUInt64LE(BigInt(modifiedSeconds), at)
  attributes.writeUInt32LE(mode, 60)
  attributes.writeUInt32LE(1, 64)
  attributes.writeUInt32LE(owner, 68)
  attributes.writeUInt32LE(group, 72)
  attributes.writeUInt32LE(preferredBytes, 80)
  return bytes
}

/** struct fuse_open_out. @param backing of a file that is passed through: what the kernel knows it as */
export function encodeFuseOpen(handle: number, flags: number, backing = 0): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64LE(BigInt(handle), 0)
  bytes.writeUInt32LE(flags, 8)
  bytes.writeInt32LE(backing, 12)
  return bytes
}

/** struct fuse_kstatfs: a filesystem of one file, that is full. */
export function encodeFuseStatfs(size: number): Buffer {
  const bytes = Buffer.alloc(80)
  bytes.writeBigUInt64LE(BigInt(Math.ceil(size / preferredBytes)), 0)
  bytes.writeBigUInt64LE(1n, 24)
  bytes.writeUInt32LE(preferredBytes, 40)
  bytes.writeUInt32LE(255, 44)
  bytes.writeUInt32LE(preferredBytes, 48)
  return bytes
}

/** struct fuse_lseek_out */
export function encodeFuseSeek(offset: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(offset))
  return bytes
}
