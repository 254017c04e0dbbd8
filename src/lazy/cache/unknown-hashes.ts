import { leafBytes } from '../../formats/index.ts'
import type { LeafTruth } from './leaf-hashes.ts'

/**
 * Of a lower of which only the digest of the whole is known: what is fetched is taken, and nothing that is in a file already. Whether it was right is seen when all of it is here.
 */
export class UnknownHashes implements LeafTruth {
  readonly bytes: number
  readonly count: number

  constructor(bytes: number) {
    this.bytes = bytes
    this.count = Math.ceil(bytes / leafBytes)
  }

  lengthOf(leaf: number): number {
    return Math.min(leafBytes, this.bytes - leaf * leafBytes)
  }

  isRight(): boolean {
    return false
  }

  accepts(leaf: number, bytes: Uint8Array): boolean {
    return bytes.length === this.lengthOf(leaf)
  }

  isZeros(): boolean {
    return false
  }

  runFrom(leaf: number, end: number): number {
    return end - leaf
  }
}
