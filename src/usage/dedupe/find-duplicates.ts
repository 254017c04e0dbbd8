import { hashBytes } from './block-hashes.ts'
import type { Segments } from './find-segments.ts'
import { firstSeen } from './first-seen.ts'
import { firstFile, firstLogical, zeroHash } from './hash-segments.ts'

/** For each block of all segments, in their order: the first block with the same content. */
export interface Duplicates {
  /** The number of the first block of each segment, and of all blocks at the end. */
  readonly firstBlock: Float64Array
  /** Or `ownContent`: nobody before had it, or it is not known; or `onlyZeros`. */
  readonly sameAs: Uint32Array
}

export const ownContent = 0xffff_ffff
export const onlyZeros = 0xffff_fffe
/** Of a run: nobody else has it, and it has to leave its place. */
export const movedContent = ownContent

/** Reads hashes of a file from a block of it on; zeros where there are none. */
export type ReadHashes = (file: number, firstBlock: number, into: Buffer) => void

/** So many blocks are looked at in one go over all hashes: 24 bytes of memory each. */
const blocksInPass = 2 ** 21
const readBlocks = 8192

export function findDuplicates(
  segments: Segments,
  { block, readHashes }: { readonly block: number; readonly readHashes: ReadHashes },
): Duplicates {
  const firstBlock = numberBlocks(segments, block)
  const blocks = firstBlock[segments.count] ?? 0
  const sameAs = new Uint32Array(blocks).fill(ownContent)
  const zero = zeroHash(block)
  const [zeroHigh, zeroLow] = [zero.readUInt32LE(0), zero.readUInt32LE(4)]
  const passes = Math.max(1, Math.ceil(blocks / blocksInPass))
  for (let pass = 0; pass < passes; pass++) {
    const seen = firstSeen(Math.min(blocks, Math.ceil((blocks / passes) * 1.2) + 64))
    for (const { number, hashes } of hashesInOrder(segments, firstBlock, { block, readHashes })) {
      for (let at = 0; at < hashes.length; at += hashBytes) {
        const [high, low] = [hashes.readUInt32LE(at), hashes.readUInt32LE(at + 4)]
        if (high % passes !== pass || (high === 0 && low === 0)) continue
        const here = number + at / hashBytes
        if (high === zeroHigh && low === zeroLow) sameAs[here] = onlyZeros
        else {
          const first = seen.see(high, low, here)
          if (first !== here) sameAs[here] = first
        }
      }
    }
  }
  return { firstBlock, sameAs }
}

function numberBlocks({ count, length }: Segments, block: number): Float64Array {
  const firstBlock = new Float64Array(count + 1)
  for (let at = 0; at < count; at++) firstBlock[at + 1] = (firstBlock[at] ?? 0) + (length[at] ?? 0) / block
  return firstBlock
}

function* hashesInOrder(
  segments: Segments,
  firstBlock: Float64Array,
  { block, readHashes }: { readonly block: number; readonly readHashes: ReadHashes },
): Generator<{ readonly number: number; readonly hashes: Buffer }> {
  const buffer = Buffer.alloc(readBlocks * hashBytes)
  for (let segment = 0; segment < segments.count; segment++) {
    const blocks = (segments.length[segment] ?? 0) / block
    const start = firstLogical(segments, segment) / block
    for (let done = 0; done < blocks; done += readBlocks) {
      const hashes = buffer.subarray(0, Math.min(readBlocks, blocks - done) * hashBytes)
      readHashes(firstFile(segments, segment), start + done, hashes)
      yield { number: (firstBlock[segment] ?? 0) + done, hashes }
    }
  }
}
