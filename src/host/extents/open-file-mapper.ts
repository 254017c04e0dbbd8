import { closeSync, constants, openSync, statfsSync } from 'node:fs'
import { errnoCode } from '../../base/index.ts'
import { filesystemTypes } from '../filesystem-of.ts'
import { lastError, libc } from '../libc.ts'
import { btrfsExtents, isInlineItem } from './btrfs-extents.ts'
import { btrfsGeneration } from './btrfs-uuid.ts'
import { type ExtentFile, mark } from './extent-source.ts'
import { openToLook } from './fiemap-extents.ts'
import { type FileMap, fileMap, type MappedPart } from './file-map.ts'
import { awaitDeletions } from './measure-space.ts'
import { fiemapFlag, readFiemap, readUInt64 } from './read-fiemap.ts'
import { btrfsItem, btrfsTree, itemOffset, searchBtrfsTree } from './search-btrfs-tree.ts'

/** Says where the parts of files are, on a filesystem that can share them. */
export interface FileMapper extends Disposable {
  /** What is freed: whole extents, single blocks; `unseen`: whole extents of which only parts can be seen. */
  readonly unit: 'extent' | 'block' | 'unseen'
  /** What has been written so far is on disk. @returns what is written from now on has a generation above this; 0 where that is not told */
  settle(): number
  /** @returns undefined when the file is gone @throws a system error */
  mapOf(file: ExtentFile): FileMap | undefined
  /** See ExtentSource. */
  readonly references?: ((addresses: Float64Array) => Float64Array) | undefined
}

/** @param directory on btrfs the files must be in the same subvolume @throws a system error */
export function openFileMapper(directory: string): FileMapper {
  if (filesystemTypes[statfsSync(directory).type] !== 'btrfs') return fiemapMapper(directory, 'block')
  try {
    return btrfsMapper(directory)
  } catch (error) {
    if (errnoCode(error) === 'EPERM') return fiemapMapper(directory, 'unseen')
    throw error
  }
}

function fiemapMapper(directory: string, unit: 'block' | 'unseen'): FileMapper {
  return {
    unit,
    settle() {
      awaitDeletions(directory)
      return 0
    },
    mapOf({ path }) {
      const fd = openToLook(path)
      if (fd === undefined) return undefined
      try {
        return fileMap(partsByFiemap(fd))
      } finally {
        closeSync(fd)
      }
    },
    [Symbol.dispose]() {},
  }
}

/** Of no use: what has no place of its own, and of an encoded extent it is not told which part of it a file has. */
const placeless = fiemapFlag.inline | fiemapFlag.tail | fiemapFlag.unknown | fiemapFlag.encoded

function partsByFiemap(fd: number): MappedPart[] {
  return [...readFiemap(fd)].flatMap(({ logical, physical, length, flags }) =>
    (flags & placeless) !== 0
      ? []
      : {
          logical,
          length,
          extent: 0,
          offset: physical,
          diskBytes: length,
          generation: 0,
          marks: (flags & fiemapFlag.shared) === 0 ? 0 : mark.shared,
        },
  )
}

function btrfsMapper(directory: string): FileMapper {
  const source = btrfsExtents(directory)
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  return {
    unit: 'extent',
    references: source.references,
    settle() {
      // Before: the transaction of this number may be under way, and is over when all is written.
      const generation = btrfsGeneration(fd)
      if (libc().syncfs(fd) < 0) throw lastError('syncfs')
      return generation
    },
    mapOf(file) {
      const [extents] = source.extentsOf([file])
      return extents === undefined ? undefined : fileMap(partsByTree(fd, file, extents.marks))
    },
    [Symbol.dispose]() {
      closeSync(fd)
      source[Symbol.dispose]()
    },
  }
}

/** btrfs_file_extent_item of linux/btrfs_tree.h. @param marks of the same items */
function partsByTree(fd: number, { inode }: ExtentFile, marks: Uint8Array): MappedPart[] {
  const parts: MappedPart[] = []
  const isRewritten = isWrittenInPlace(fd, inode)
  const range = { tree: btrfsTree.ofTheFile, objects: [inode], kind: btrfsItem.fileExtent } as const
  searchBtrfsTree(fd, range, (bytes, at) => {
    const extent = isInlineItem(bytes, at) ? 0 : readUInt64(bytes, at + 21)
    if (extent === 0) return
    parts.push({
      logical: Number(itemOffset(bytes, at)),
      length: readUInt64(bytes, at + 45),
      extent,
      offset: readUInt64(bytes, at + 37),
      diskBytes: readUInt64(bytes, at + 29),
      generation: isRewritten ? Number.POSITIVE_INFINITY : readUInt64(bytes, at),
      marks: marks[parts.length] ?? 0,
    })
  })
  return parts
}

/** chattr +C, or made on a filesystem mounted with nodatacow: when a part was written says nothing then. */
function isWrittenInPlace(fd: number, inode: number): boolean {
  const range = { tree: btrfsTree.ofTheFile, objects: [inode], kind: btrfsItem.inode } as const
  let isWritten = false
  searchBtrfsTree(fd, range, (bytes, at) => {
    isWritten = (bytes.readUInt8(at + flagsAt) & nodatacow) !== 0
  })
  return isWritten
}

/** Of btrfs_inode_item. */
const flagsAt = 64
const nodatacow = 2
