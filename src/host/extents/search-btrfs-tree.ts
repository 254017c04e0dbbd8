import { lastError, libc } from '../libc.ts'
import { readUInt64 } from './read-fiemap.ts'

/** Trees and kinds of items: linux/btrfs_tree.h. */
export const btrfsTree = { roots: 1, extents: 2, ofTheFile: 0 } as const
export const btrfsItem = { inode: 1, fileExtent: 108, root: 132, extent: 168 } as const

export interface TreeSearch {
  readonly tree: number
  /** Object ids, ascending, each once. */
  readonly objects: ArrayLike<number>
  /** Only items of this kind are handed on. */
  readonly kind: number
  /** Objects no further apart than this are looked for together: what is between them is passed over where it is little. Each alone when left out. */
  readonly near?: number
}

/**
 * Sees an item.
 *
 * @param bytes what has it, from `at` on; good until the next one is shown
 * @param index which of the objects has it
 */
export type SeeItem = (bytes: Buffer, at: number, index: number) => void

/** btrfs_ioctl_search_args_v2 of linux/btrfs.h: a key of 104 bytes, the size of the buffer, the buffer. */
const BTRFS_IOC_TREE_SEARCH_V2 = 0xc0709411
const argumentBytes = 112
const bufferBytes = 256 * 1024
/** Of how many items may be found, and then of how many were. */
const countAt = 64
const itemHeadBytes = 32
/** No leaf of a tree is larger, nor what is in it. */
const longestItemBytes = 64 * 1024
const everything = 0xffff_ffff_ffff_ffffn

/**
 * Shows the items of objects in a tree of a btrfs, in the order of their keys: one by one and by nothing but a call, because there are tens of thousands. What of other objects is found between them costs no more than one buffer
 * at a time: the search goes on at the next object that is asked for. Needs CAP_SYS_ADMIN.
 *
 * @param fd any open file of it
 * @throws a system error, EPERM without the privilege
 */
export function searchBtrfsTree(fd: number, { tree, objects, kind, near = 0 }: TreeSearch, see: SeeItem): void {
  const argument = spare ?? Buffer.alloc(argumentBytes + bufferBytes)
  spare = undefined
  try {
    let [index, last, offset] = [0, -1, 0n]
    while (index < objects.length) {
      if (index > last) last = lastNear(objects, index, near)
      writeRange(argument, { tree, kind, first: objects[index] ?? 0, offset, last: objects[last] ?? 0 })
      if (libc().ioctl(fd, BTRFS_IOC_TREE_SEARCH_V2, argument) < 0) throw lastError('btrfs tree search')
      const next = showItems(argument, { objects, index, kind }, see)
      index = next?.index ?? last + 1
      offset = next?.offset ?? 0n
    }
  } finally {
    spare = argument
  }
}

/** Thousands of searches are made one after the other. */
let spare: Buffer | undefined

function lastNear(objects: ArrayLike<number>, index: number, near: number): number {
  let last = index
  while (last + 1 < objects.length && (objects[last + 1] ?? 0) - (objects[last] ?? 0) <= near) last++
  return last
}

interface Place {
  readonly index: number
  readonly offset: bigint
}

type Wanted = Pick<TreeSearch, 'objects' | 'kind'> & { readonly index: number }

/** @returns where to go on; undefined when there is nothing behind it */
function showItems(bytes: Buffer, { objects, index: from, kind }: Wanted, see: SeeItem): Place | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let [at, last, index] = [argumentBytes, argumentBytes, from]
  for (let rest = view.getUint32(countAt, true); rest > 0; rest--) {
    last = at
    if (view.getUint32(at + 24, true) === kind) {
      const objectId = view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * 2 ** 32
      while ((objects[index] ?? Number.POSITIVE_INFINITY) < objectId) index++
      if (objects[index] === objectId) see(bytes, at + itemHeadBytes, index)
    }
    at += itemHeadBytes + view.getUint32(at + 28, true)
  }
  const hasRoom = bytes.length - at > itemHeadBytes + longestItemBytes
  return hasRoom ? undefined : placeAfter(bytes, last, { objects, index, kind })
}

/** Behind an item: in the same object, or at the next one that is wanted. */
function placeAfter(bytes: Buffer, item: number, { objects, index, kind }: Wanted): Place {
  const [objectId, found] = [readUInt64(bytes, item + 8), bytes.readUInt32LE(item + 24)]
  const offset = itemOffset(bytes, item + itemHeadBytes)
  let next = index
  while ((objects[next] ?? Number.POSITIVE_INFINITY) < objectId) next++
  if (objects[next] !== objectId || found < kind) return { index: next, offset: 0n }
  return found > kind || offset === everything ? { index: next + 1, offset: 0n } : { index: next, offset: offset + 1n }
}

/** The third part of the key of an item: of one of a file, where in the file. @param at where its content begins */
export function itemOffset(bytes: Buffer, at: number): bigint {
  return bytes.readBigUInt64LE(at - itemHeadBytes + 16)
}

interface KeyRange {
  readonly tree: number
  readonly kind: number
  /** The first and the last object id, both included, and where in the first. */
  readonly first: number
  readonly offset: bigint
  readonly last: number
}

/** All three parts of a key are compared as one, so that items of other kinds come too when several objects are asked for. */
function writeRange(argument: Buffer, { tree, kind, first, offset, last }: KeyRange): void {
  argument.fill(0, 0, argumentBytes)
  argument.writeBigUInt64LE(BigInt(tree), 0)
  argument.writeBigUInt64LE(BigInt(first), 8)
  argument.writeBigUInt64LE(BigInt(last), 16)
  argument.writeBigUInt64LE(offset, 24)
  argument.writeBigUInt64LE(everything, 32)
  argument.writeBigUInt64LE(0n, 40)
  argument.writeBigUInt64LE(everything, 48)
  argument.writeUInt32LE(kind, 56)
  argument.writeUInt32LE(kind, 60)
  argument.writeUInt32LE(0xffff_ffff, countAt)
  argument.writeBigUInt64LE(BigInt(bufferBytes), 104)
}
