/** One member of a tar archive, with every extension header already applied. Bytes stay bytes: nothing is decoded as text. */
export interface TarEntry {
  /** The name as the archive has it, without trailing slashes; may start with `/` or `./`, may hold `..`. */
  readonly path: Buffer
  readonly type: 'file' | 'hardlink' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo'
  /** mode & 0o7777 */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes of content, holes of a sparse file included. 0 for everything but files. */
  readonly size: number
  /** Whole seconds since the epoch, floor. */
  readonly mtimeSeconds: number
  readonly mtimeNanoseconds: number
  /** Target of a symlink or hard link; empty otherwise. */
  readonly linkTarget: Buffer
  readonly major: number
  readonly minor: number
  /** From SCHILY.xattr.* and LIBARCHIVE.xattr.*, in the order of the archive; names as latin1 byte strings. */
  readonly xattrs: readonly { readonly name: string; readonly value: Buffer }[]
}

/** What a reader does with the archive, called synchronously and in order: entry, then data and holes adding up to `size`, then entryEnd. */
export interface TarHandler {
  entry(entry: TarEntry): void
  /** A piece of content; valid only during the call: copy it to keep it. */
  data(chunk: Buffer): void
  /** A run of zeros of a sparse file. */
  hole(bytes: number): void
  entryEnd(): void
  /** Something legal to pass over that a person may want to know: an unknown type, a dropped header. */
  warning?(message: string): void
}
