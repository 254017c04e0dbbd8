import type { Kind } from '../type-bits.ts'
import { type ByteName, blockSize } from './tree.ts'

export const direntBytes = 12

/** file_type of a directory entry. */
export const fileTypes: Readonly<Record<Kind, number>> = {
  file: 1,
  directory: 2,
  char: 3,
  block: 4,
  fifo: 5,
  socket: 6,
  symlink: 7,
}

export interface Dirent {
  readonly name: ByteName
  readonly nid: number
  readonly kind: Kind
}

/** How a directory's names spread over blocks: block b holds the names from `starts[b]` up to `starts[b + 1]`. */
export interface PackedDirectory {
  readonly starts: readonly number[]
  /** i_size: whole blocks, and the last one up to the end of its last name. */
  readonly size: number
}

/** Packs sorted names greedily; only their lengths matter, so it can be done before any inode has its number. */
export function packDirectory(names: Iterable<ByteName>): PackedDirectory {
  const starts = [0]
  let used = 0
  let index = 0
  for (const name of names) {
    const bytes = direntBytes + name.length
    if (used + bytes > blockSize) {
      starts.push(index)
      used = 0
    }
    used += bytes
    index++
  }
  return { starts, size: (starts.length - 1) * blockSize + used }
}

/**
 * One block of a directory: the fixed-size entries, then the names. The rest is zero, which the kernel takes as the end of the last name.
 *
 * @param bytes size of the block: 4096, or less for the last one
 */
export function encodeDirectoryBlock(entries: readonly Dirent[], bytes: number): Buffer {
  const out = Buffer.alloc(bytes)
  let nameAt = entries.length * direntBytes
  entries.forEach(({ name, nid, kind }, index) => {
    const at = index * direntBytes
    out.writeUInt32LE(nid >>> 0, at)
    out.writeUInt32LE(Math.floor(nid / 2 ** 32), at + 4)
    out.writeUInt16LE(nameAt, at + 8)
    out.writeUInt8(fileTypes[kind], at + 10)
    nameAt += out.write(name, nameAt, 'latin1')
  })
  return out
}
