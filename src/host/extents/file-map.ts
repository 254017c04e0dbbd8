/**
 * Which part of a file is where, in the order of the file: what is at the same place in each array belongs together. Two parts of files are the
 * same bytes on disk where extent and offset are the same.
 */
export interface FileMap {
  /** Bytes in the file. */
  readonly logical: Float64Array
  readonly length: Float64Array
  /** The address of what is freed as a whole; 0 where single blocks are. */
  readonly extent: Float64Array
  /** Bytes from the beginning of the extent, of its content, as it is uncompressed; where single blocks are freed, the address on disk. */
  readonly offset: Float64Array
  /** What the extent takes on disk; where single blocks are freed, the length. */
  readonly diskBytes: Float64Array
  /** When it was written, on the filesystem's own clock; 0 where that is not told. */
  readonly generation: Float64Array
  /** Bits of `mark`. */
  readonly marks: Uint8Array
}

export interface MappedPart {
  readonly logical: number
  readonly length: number
  readonly extent: number
  readonly offset: number
  readonly diskBytes: number
  readonly generation: number
  readonly marks: number
}

/** Collects parts. */
export function fileMap(parts: readonly MappedPart[]): FileMap {
  const column = (name: keyof MappedPart) => Float64Array.from(parts, (part) => part[name])
  return {
    logical: column('logical'),
    length: column('length'),
    extent: column('extent'),
    offset: column('offset'),
    diskBytes: column('diskBytes'),
    generation: column('generation'),
    marks: Uint8Array.from(parts, (part) => part.marks),
  }
}
