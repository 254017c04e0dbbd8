import { lastError, libc } from '../libc.ts'
import { readUInt64 } from './read-fiemap.ts'

/** Trees and kinds of items: linux/btrfs_tree.h. */
export const btrfsTree = { roots: 1, extents: 2, ofTheFile: 0 } as const
export const btrfsItem = { fileExtent: 108, root: 132, extent: 168 } as const

export interface SearchRange {
  readonly tree: number
  /** The first and the last object id, both included. */
  readonly objects: readonly [first: number, last: number]
  /** Only items of this kind are handed on. */
  readonly kind: number
}

export interface TreeItem {
  readonly objectId: number
  /** What has the item, from `at` on. Good until the next one is asked for. */
  readonly bytes: Buffer
  readonly at: number
}

/** btrfs_ioctl_search_args_v2 of linux/btrfs.h: a key of 104 bytes, the size of the buffer, the buffer. */
const BTRFS_IOC_TREE_SEARCH_V2 = 0xc0709411
const argumentBytes = 112
const bufferBytes = 256 * 1024
const itemHeadBytes = 32
const everything = 0xffff_ffff_ffff_ffffn

/**
 * Items of a tree of a btrfs, in the order of their keys. Needs CAP_SYS_ADMIN.
 *
 * @param fd any open file of it
 * @throws a system error, EPERM without the privilege
 */
export function* searchBtrfsTree(fd: number, { tree, objects, kind }: SearchRange): Generator<TreeItem> {
  const argument = spare ?? Buffer.alloc(argumentBytes + bufferBytes)
  spare = undefined
  try {
    let from: Key | undefined = [objects[0], kind, 0n]
    while (from !== undefined) {
      writeRange(argument, tree, from, [objects[1], kind, everything])
      if (libc().ioctl(fd, BTRFS_IOC_TREE_SEARCH_V2, argument) < 0) throw lastError('btrfs tree search')
      from = yield* itemsIn(argument, kind)
    }
  } finally {
    spare = argument
  }
}

/** Thousands of searches are made one after the other. */
let spare: Buffer | undefined

/** @returns where to go on; undefined at the end */
function* itemsIn(bytes: Buffer, kind: number): Generator<TreeItem, Key | undefined> {
  let at = argumentBytes
  let last: Key | undefined
  for (let rest = bytes.readUInt32LE(64); rest > 0; rest--) {
    const found = [readUInt64(bytes, at + 8), bytes.readUInt32LE(at + 24), bytes.readBigUInt64LE(at + 16)] as const
    if (found[1] === kind) yield { objectId: found[0], bytes, at: at + itemHeadBytes }
    at += itemHeadBytes + bytes.readUInt32LE(at + 28)
    last = found
  }
  return last === undefined ? undefined : keyAfter(last)
}

function keyAfter([objectId, kind, offset]: Key): Key {
  return offset === everything ? [objectId, kind + 1, 0n] : [objectId, kind, offset + 1n]
}

type Key = readonly [objectId: number, kind: number, offset: bigint]

/** All three parts of a key are compared as one, so that items of other kinds come too when several objects are asked for. */
function writeRange(argument: Buffer, tree: number, from: Key, to: Key): void {
  argument.fill(0, 0, argumentBytes)
  argument.writeBigUInt64LE(BigInt(tree), 0)
  argument.writeBigUInt64LE(BigInt(from[0]), 8)
  argument.writeBigUInt64LE(BigInt(to[0]), 16)
  argument.writeBigUInt64LE(from[2], 24)
  argument.writeBigUInt64LE(to[2], 32)
  argument.writeBigUInt64LE(0n, 40)
  argument.writeBigUInt64LE(everything, 48)
  argument.writeUInt32LE(from[1], 56)
  argument.writeUInt32LE(to[1], 60)
  argument.writeUInt32LE(0xffff_ffff, 64)
  argument.writeBigUInt64LE(BigInt(bufferBytes), 104)
}
