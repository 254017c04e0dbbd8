import type { ImageSource } from './image-source.ts'
import { alignUp } from './integers.ts'
import { invalidImage } from './invalid.ts'
import type { Inode } from './read-inode.ts'
import type { Xattr } from './tree.ts'
import { xattrEntryBytes, xattrHeaderBytes, xattrPrefixes } from './xattr-area.ts'

/** Shared xattrs that were read before, by their number. Their bytes may not add up to more than the image: each has bytes of its own. */
export interface SharedXattrs {
  readonly byId: Map<number, Xattr>
  bytes: number
}

export function noSharedXattrs(): SharedXattrs {
  return { byId: new Map(), bytes: 0 }
}

/** All xattrs of an inode, sorted by name. @throws Problem EROFS_INVALID */
export function readXattrs(source: ImageSource, inode: Inode, shared: SharedXattrs): Xattr[] {
  if (inode.xattrBytes === 0) return []
  const area = source.read(inode.xattrOffset, inode.xattrBytes, `the xattrs of inode ${inode.nid}`)
  const inlineAt = xattrHeaderBytes + area.readUInt8(4) * 4
  // A bare header is an error to the kernel too.
  if (inlineAt > area.length || area.length === xattrHeaderBytes) throw damaged(inode.nid)
  const xattrs: Xattr[] = []
  for (let at = xattrHeaderBytes; at < inlineAt; at += 4) {
    xattrs.push(sharedXattr(source, area.readUInt32LE(at), inode.nid, shared))
  }
  for (let at = inlineAt; at < area.length; ) {
    const entry = decodeEntry(area.subarray(at), inode.nid)
    xattrs.push(entry.xattr)
    at += entry.bytes
  }
  return sortedByName(xattrs, inode.nid)
}

function sharedXattr(source: ImageSource, id: number, nid: number, shared: SharedXattrs): Xattr {
  const known = shared.byId.get(id)
  if (known !== undefined) return known
  const at = source.superblock.xattrBlock * source.superblock.blockSize + id * 4
  const head = source.read(at, xattrEntryBytes, `shared xattr ${id}`)
  const { xattr, bytes } = decodeEntry(source.read(at, entryBytes(head), `shared xattr ${id}`), nid)
  shared.bytes += bytes
  if (shared.bytes > source.bytes) throw invalidImage('its shared xattrs overlap')
  shared.byId.set(id, xattr)
  return xattr
}

function decodeEntry(from: Buffer, nid: number): { xattr: Xattr; bytes: number } {
  if (from.length < xattrEntryBytes) throw damaged(nid)
  const bytes = entryBytes(from)
  const nameBytes = from.readUInt8(0)
  const prefix = xattrPrefixes.find(({ index }) => index === from.readUInt8(1))
  const valueEnd = xattrEntryBytes + nameBytes + from.readUInt16LE(2)
  if (bytes > from.length || prefix === undefined || (prefix.whole === true) !== (nameBytes === 0)) throw damaged(nid)
  const valueAt = xattrEntryBytes + nameBytes
  const name = `${prefix.prefix}${from.toString('latin1', xattrEntryBytes, valueAt)}`
  if (name.includes('\0')) throw damaged(nid)
  return { xattr: { name, value: Buffer.from(from.subarray(valueAt, valueEnd)) }, bytes }
}

function entryBytes(head: Buffer): number {
  return alignUp(xattrEntryBytes + head.readUInt8(0) + head.readUInt16LE(2), 4)
}

function sortedByName(xattrs: Xattr[], nid: number): Xattr[] {
  xattrs.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  if (xattrs.some(({ name }, index) => name === xattrs[index - 1]?.name)) {
    throw invalidImage(`inode ${nid} has two xattrs of one name`)
  }
  return xattrs
}

function damaged(nid: number) {
  return invalidImage(`the xattrs of inode ${nid} are damaged or of an unknown kind`)
}
