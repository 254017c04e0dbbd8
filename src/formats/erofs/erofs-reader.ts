import { Problem } from '../../base/index.ts'
import { type ImageSource, openSource, type ReadAt, verifyChecksum } from './image-source.ts'
import { invalidImage } from './invalid.ts'
import { readContent } from './read-content.ts'
import { type DirectoryEntry, readDirectory } from './read-directory.ts'
import { type Inode, readInode } from './read-inode.ts'
import { readSymlink } from './read-symlink.ts'
import { noSharedXattrs, readXattrs } from './read-xattrs.ts'
import { rebuildTree } from './rebuild-tree.ts'
import type { Superblock } from './superblock.ts'
import type { ByteName, DirectoryNode, Xattr } from './tree.ts'
import { type VerifiedImage, verifyImage } from './verify-image.ts'
import { type WalkedName, walkImage } from './walk-image.ts'

/** Most bytes that one call reads of a file: a hostile image may claim a hole of petabytes. */
const maxReadBytes = 2 ** 30
const pieceBytes = 2 ** 20

/**
 * Reads erofs images: cowshed's own, and those of mkfs.erofs that are not compressed. Devices are read as if they followed the first one. No byte
 * of the image is trusted: every method gives a sound answer or throws a Problem EROFS_INVALID, in time and memory bounded by the image's size.
 */
export class ErofsReader {
  readonly #source: ImageSource
  readonly #shared = noSharedXattrs()

  private constructor(source: ImageSource) {
    this.#source = source
  }

  /**
   * @param read gives bytes of the image file; called only inside `size`
   * @param size bytes of the image file; may be more than the image takes
   * @throws Problem EROFS_INVALID when it is no erofs image or one of a kind that is not supported
   */
  static open(read: ReadAt, size: number): ErofsReader {
    return new ErofsReader(openSource(read, size))
  }

  get superblock(): Superblock {
    return this.#source.superblock
  }

  root(): Inode {
    return this.inode(this.superblock.rootNid)
  }

  inode(nid: number): Inode {
    return readInode(this.#source, nid)
  }

  /** The inode at a path of names between slashes, as bytes; symlinks are not followed. Undefined when there is none. */
  lookup(path: ByteName): Inode | undefined {
    let inode = this.root()
    for (const name of path.split('/')) {
      if (name === '') continue
      const entry = inode.kind === 'directory' ? this.#find(inode, name) : undefined
      if (entry === undefined) return undefined
      inode = this.inode(entry.nid)
    }
    return inode
  }

  /** What a directory holds, by the bytes of the names, without `.` and `..`. */
  list(directory: Inode): DirectoryEntry[] {
    return [...readDirectory(this.#source, directory)].filter(({ name }) => name !== '.' && name !== '..')
  }

  /**
   * Bytes of a file; fewer than asked for where it ends.
   *
   * @throws Problem LIMIT_EXCEEDED for more than 1 GiB in one call
   */
  readFile(file: Inode, offset = 0, length = file.size): Buffer {
    if (file.kind !== 'file') throw invalidImage(`inode ${file.nid} is not a file`)
    const bytes = Math.max(0, Math.min(length, file.size - offset))
    if (bytes > maxReadBytes) throw new Problem('LIMIT_EXCEEDED', `reading ${bytes} bytes of a file in one call`)
    return readContent(this.#source, file, offset, bytes)
  }

  /** The content of a file in pieces of 1 MiB. */
  *contents(file: Inode): Generator<Buffer> {
    for (let offset = 0; offset < file.size; offset += pieceBytes) yield this.readFile(file, offset, pieceBytes)
  }

  readlink(symlink: Inode): Buffer {
    return readSymlink(this.#source, symlink)
  }

  /** Sorted by full name. */
  xattrs(inode: Inode): readonly Xattr[] {
    return readXattrs(this.#source, inode, this.#shared)
  }

  /** Every name with its inode, a directory before what it holds; memory proportional to the number of inodes. */
  walk(): Generator<WalkedName> {
    return walkImage(this.#source)
  }

  /** The whole tree. Files on whole blocks point at them, the image being blob 0; others read their bytes when asked for them. */
  tree(): DirectoryNode {
    return rebuildTree(this.#source, (file) => this.readFile(file))
  }

  /** Checks what the superblock's checksum covers: the first block. Much cheaper than `verify`. */
  verifyFirstBlock(): void {
    verifyChecksum(this.#source)
  }

  /** Checks everything that can be checked; throws for the first thing that is wrong. */
  verify(): VerifiedImage {
    return verifyImage(this.#source)
  }

  #find(directory: Inode, name: ByteName): DirectoryEntry | undefined {
    for (const entry of readDirectory(this.#source, directory)) if (entry.name === name) return entry
    return undefined
  }
}
