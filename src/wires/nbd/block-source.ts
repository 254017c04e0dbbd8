/** Bytes that can be read in any order; their number never changes. */
export interface BlockSource {
  readonly bytes: number
  /**
   * Exactly the bytes of a range that is within it; at once when they are in memory. Reads may overlap, and end in any order.
   *
   * @throws Problem why they cannot be had
   */
  read(offset: number, length: number): Buffer | Promise<Buffer>
  /**
   * Fills `bytes` with what begins at `offset`, when all of it can be had at once; otherwise it does nothing, and `read` is what brings it. A source that never has anything at once has no need of it.
   *
   * @returns whether it did
   * @throws Problem why they cannot be had
   */
  readAtOnce?(offset: number, bytes: Buffer): boolean
  /** Somebody will read these soon. Does not wait, and does not fail. */
  hint(offset: number, length: number): void
  /** Whether the byte at `offset` is one of a run of zeros, and how many bytes after it are of the same kind; known without reading. At most `length`. */
  runAt(offset: number, length: number): { readonly length: number; readonly isZero: boolean }
  /** An open file that has all of these bytes, once there is one. */
  file?(): number | undefined
}
