import type { Kind } from '../type-bits.ts'
import { direntBytes, fileTypes } from './directory-blocks.ts'
import type { ImageSource } from './image-source.ts'
import { dataLayout } from './inode-core.ts'
import { readUInt64 } from './integers.ts'
import { invalidImage } from './invalid.ts'
import { readContent } from './read-content.ts'
import type { Inode } from './read-inode.ts'
import type { ByteName } from './tree.ts'

const maxNameBytes = 255

export interface DirectoryEntry {
  readonly name: ByteName
  readonly nid: number
  /** What the directory says the inode is. */
  readonly kind: Kind
}

const kinds = new Map<number, Kind>(Object.entries(fileTypes).map(([kind, type]) => [type, kind as Kind]))

/**
 * The entries of a directory in order, `.` and `..` among them, read block by block.
 *
 * @throws Problem EROFS_INVALID also when names are not strictly ascending: lookups by the kernel would miss some
 */
export function* readDirectory(source: ImageSource, directory: Inode): Generator<DirectoryEntry> {
  const { blockSize } = source.superblock
  if (directory.kind !== 'directory') throw invalidImage(`inode ${directory.nid} is not a directory`)
  // Chunks could repeat, so that a small image held a directory without end.
  if (directory.layout === dataLayout.chunkBased) throw invalidImage(`directory ${directory.nid} is made of chunks`)
  let previous = ''
  for (let offset = 0; offset < directory.size; offset += blockSize) {
    const block = readContent(source, directory, offset, Math.min(blockSize, directory.size - offset))
    for (const entry of decodeDirectoryBlock(block, directory.nid)) {
      if (entry.name <= previous) throw invalidImage(`the names of directory ${directory.nid} are out of order`)
      previous = entry.name
      yield entry
    }
  }
}

/** Exported for the tests of the format. @throws Problem EROFS_INVALID */
export function decodeDirectoryBlock(block: Buffer, nid: number): DirectoryEntry[] {
  const namesAt = block.length < direntBytes ? 0 : block.readUInt16LE(8)
  if (namesAt === 0 || namesAt % direntBytes !== 0 || namesAt >= block.length) throw damaged(nid)
  return Array.from({ length: namesAt / direntBytes }, (_, index) => {
    const at = index * direntBytes
    const next = at + direntBytes
    const name = nameAt(block, block.readUInt16LE(at + 8), next < namesAt ? block.readUInt16LE(next + 8) : undefined)
    const kind = kinds.get(block.readUInt8(at + 10))
    const target = readUInt64(block, at)
    if (name === undefined || kind === undefined || target === undefined) throw damaged(nid)
    return { name, nid: target, kind }
  })
}

/** A name from `start` up to the next one, or, for the last of a block, up to the first NUL or the block's end. */
function nameAt(block: Buffer, start: number, next: number | undefined): ByteName | undefined {
  const zero = next === undefined ? block.indexOf(0, start) : -1
  const end = next ?? (zero < 0 ? block.length : zero)
  if (start >= end || end > block.length || end - start > maxNameBytes) return undefined
  const name = block.toString('latin1', start, end)
  return /[/\0]/.test(name) ? undefined : name
}

function damaged(nid: number) {
  return invalidImage(`directory ${nid} is damaged`)
}
