import {
  type InodeAttributes,
  isStorableXattr,
  type LayerEntry,
  type LayerMap,
  type TreeNode,
  type Xattr,
} from '../../formats/index.ts'
import { invalidEntry } from './invalid-entry.ts'
import type { LeafNode } from './overlay-directory.ts'

const maxId = 0xffffffff
/** What a Linux inode can hold: XATTR_NAME_MAX, 16 bits for a value's length on disk, 16 bits for the area in units of 4 bytes. */
const maxXattrName = 255
const maxXattrValue = 0xffff
const maxXattrBytes = 0xffff * 4
const maxTargetBytes = 4095

export type Warn = (message: string) => void
type LeafEntry = Exclude<LayerEntry, { type: 'directory' | 'hardlink' }>

/** A layer's data blob. */
export interface LayerBlobOfTree {
  readonly blob: number
  /** Of a compressed one. */
  readonly map: LayerMap | undefined
}

/**
 * The inode that an entry makes.
 *
 * @throws Problem LAYER_INVALID for what no Linux filesystem can hold, or when the map does not belong to the layer's index
 */
export function leafOfEntry(entry: LeafEntry, blob: LayerBlobOfTree, warn: Warn): LeafNode {
  const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs } = attributesOf(entry, warn)
  switch (entry.type) {
    case 'file': {
      const data = dataOf(entry, blob)
      return { kind: 'file', mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs, size: entry.size, data }
    }
    case 'symlink': {
      const target = entry.linkTarget
      checkTarget(entry.path, target)
      return { kind: 'symlink', mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs, target }
    }
    case 'char':
    case 'block': {
      const { type: kind, major, minor } = entry
      checkDevice(entry, warn)
      return { kind, mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs, major, minor }
    }
    case 'fifo':
      return { kind: 'fifo', mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs }
  }
}

/** @throws Problem LAYER_INVALID when a field is out of the range that Linux has for it */
export function attributesOf(entry: LayerEntry, warn: Warn): InodeAttributes {
  const { path, mode, uid, gid, mtimeSeconds, mtimeNanoseconds } = entry
  if (!isBelow(uid, maxId) || !isBelow(gid, maxId)) throw invalidEntry(path, `owner ${uid}:${gid} is out of range`)
  if (!isBelow(mode, 0o7777)) throw invalidEntry(path, `mode ${mode} is out of range`)
  if (!Number.isSafeInteger(mtimeSeconds) || !isBelow(mtimeNanoseconds, 999_999_999)) {
    throw invalidEntry(path, `modification time ${mtimeSeconds} s ${mtimeNanoseconds} ns is out of range`)
  }
  return { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs: xattrsOf(entry, warn) }
}

function dataOf(
  { path, content }: Extract<LayerEntry, { type: 'file' }>,
  { blob, map }: LayerBlobOfTree,
): Extract<TreeNode, { kind: 'file' }>['data'] {
  if (content.kind === 'inline') return content
  if (map === undefined) return { kind: 'blocks', blob, startBlock: content.startBlock }
  const mapped = map.contents.get(content.startBlock)
  if (mapped === undefined) throw invalidEntry(path, 'the map of the compressed layer does not have its content')
  const { startBlock } = mapped
  if (mapped.kind === 'blocks') return { kind: 'blocks', blob, startBlock }
  return { kind: 'compressed', blob, startBlock, blocks: mapped.blocks, extents: mapped.extents }
}

const noXattrs: readonly Xattr[] = []

/** The last of those with one name counts, as it does when they are set one after the other. */
function xattrsOf({ path, xattrs }: LayerEntry, warn: Warn): readonly Xattr[] {
  if (xattrs.length === 0) return noXattrs
  const kept = new Map<string, Buffer>()
  for (const { name, value } of xattrs) {
    const why = whyDropped(name)
    if (why === undefined) kept.set(name, value)
    else warn(`dropped the xattr ${JSON.stringify(name)}: ${why}`)
  }
  checkXattrs(path, kept)
  return Array.from(kept, ([name, value]) => ({ name, value }))
}

function whyDropped(name: string): string | undefined {
  // The lower is mounted below an overlayfs, which would take these for its own books: whole trees could vanish or be redirected.
  if (/^(?:trusted|user)\.overlay\./.test(name)) return 'overlayfs would obey it'
  if (name.includes('\0') || !isStorableXattr(name)) return 'erofs has no place for it'
  return undefined
}

function checkXattrs(path: Buffer, xattrs: ReadonlyMap<string, Buffer>): void {
  let bytes = 0
  for (const [name, value] of xattrs) {
    if (name.length > maxXattrName) throw invalidEntry(path, `an xattr name of ${name.length} bytes is too long`)
    if (value.length > maxXattrValue) throw invalidEntry(path, `an xattr value of ${value.length} bytes is too long`)
    bytes += name.length + value.length + 8
  }
  if (bytes + 16 > maxXattrBytes) throw invalidEntry(path, `${bytes} bytes of xattrs are too many`)
}

function checkTarget(path: Buffer, target: Buffer): void {
  if (target.length === 0) throw invalidEntry(path, 'a symlink without a target')
  if (target.length > maxTargetBytes) throw invalidEntry(path, `a symlink target of ${target.length} bytes is too long`)
  if (target.includes(0)) throw invalidEntry(path, 'a symlink target holds a NUL')
}

function checkDevice({ path, type, major, minor }: Extract<LayerEntry, { type: 'char' | 'block' }>, warn: Warn): void {
  if (!isBelow(major, 0xfff) || !isBelow(minor, 0xfffff))
    throw invalidEntry(path, `device ${major}:${minor} is out of range`)
  if (type === 'char' && major === 0 && minor === 0)
    warn('is a character device 0:0, which a shed does not see: overlayfs takes it for a deleted file')
}

function isBelow(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max
}
