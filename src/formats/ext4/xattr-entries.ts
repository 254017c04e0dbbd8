import { alignUp } from '../erofs/integers.ts'
import type { ByteName } from '../erofs/tree.ts'

/** An xattr as it is on disk: the namespace as a number, POSIX ACLs in the disk's own form. */
export interface StoredXattr {
  readonly index: number
  /** Without the namespace; empty for ACLs. */
  readonly name: ByteName
  readonly value: Buffer
}

export const xattrMagic = 0xea020000
/** The list ends with four zero bytes. */
const terminator = 4
const entryHead = 16

/** Bytes of an area that holds these. */
export function xattrBytes(xattrs: readonly StoredXattr[]): number {
  return xattrs.reduce((sum, { name, value }) => sum + entryBytes(name) + alignUp(value.length, 4), terminator)
}

function entryBytes(name: ByteName): number {
  return alignUp(entryHead + name.length, 4)
}

/**
 * Writes entries from `start` on and their values down from the end of `area`; offsets count from `base`.
 *
 * @returns the hash over all entries, for the header of a block
 * @see the kernel's fs/ext4/xattr.h, struct ext4_xattr_entry
 */
export function writeXattrs(
  area: Buffer,
  { start, base, xattrs }: { readonly start: number; readonly base: number; readonly xattrs: readonly StoredXattr[] },
): number {
  let at = start
  let end = area.length
  let hash = 0
  for (const { index, name, value } of xattrs) {
    end -= alignUp(value.length, 4)
    value.copy(area, end)
    const own = entryHash(name, area.subarray(end, end + alignUp(value.length, 4)))
    area.writeUInt8(name.length, at)
    area.writeUInt8(index, at + 1)
    area.writeUInt16LE(value.length === 0 ? 0 : end - base, at + 2)
    area.writeUInt32LE(value.length, at + 8)
    area.writeUInt32LE(own, at + 12)
    area.write(name, at + entryHead, 'latin1')
    at += entryBytes(name)
    hash = (hash << 16) ^ (hash >>> 16) ^ own
  }
  return hash >>> 0
}

/**
 * Over the bytes of a name, as signed ones, and the words of its value. Kernels and e2fsck have taken names as signed chars on x86 and
 * as unsigned elsewhere until 2023; since then both are good to them, so this is what all of them accept on x86.
 */
function entryHash(name: ByteName, words: Buffer): number {
  let hash = 0
  for (let at = 0; at < name.length; at++) hash = (hash << 5) ^ (hash >>> 27) ^ ((name.charCodeAt(at) << 24) >> 24)
  for (let at = 0; at < words.length; at += 4) hash = (hash << 16) ^ (hash >>> 16) ^ words.readUInt32LE(at)
  return hash >>> 0
}
