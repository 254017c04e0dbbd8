import { blockSize, type Extent, type ExtentCutter, maxExtentBytes } from '../../formats/index.ts'

/**
 * Files are compressed in stretches of so many bytes, each on its own, so that several threads can be at one file. Part of what decides the bytes of
 * lowers: a change needs a new writerVersion.
 */
export const stretchBytes = 2 * 2 ** 20
/** So much of a stretch's beginning says whether the rest is worth compressing. */
const trialBytes = maxExtentBytes
/** So much content, or so many stretches, are enough for one batch: less would be more messages than work. */
export const batchBytes = 2 ** 20
export const batchStretches = 256
/** A stretch may begin behind nearly a batch. */
const contentBytes = batchBytes + stretchBytes
/** Every stretch takes whole blocks. */
const clusterBytes = contentBytes + batchStretches * blockSize

/** Stretches, one after the other, and what they become, in memory that threads can share. */
export interface Batch {
  readonly memory: SharedArrayBuffer
  /** Of each stretch, in bytes. */
  readonly lengths: readonly number[]
}

export interface CompressedStretch {
  readonly blocks: number
  readonly extents: readonly Extent[]
  /** Nothing of it is compressed. */
  readonly isStored: boolean
}

export function batchMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(contentBytes + clusterBytes)
}

/** Where stretches come in, and where the blocks of all their extents go, one after the other. */
export function partsOf(memory: SharedArrayBuffer): { content: Buffer; clusters: Buffer } {
  return { content: Buffer.from(memory, 0, contentBytes), clusters: Buffer.from(memory, contentBytes, clusterBytes) }
}

/** Compresses stretches, or leaves them as they are where that gains nothing. What becomes of one depends on its content alone. */
export function compressStretches(cutter: ExtentCutter, { memory, lengths }: Batch): CompressedStretch[] {
  const { content, clusters } = partsOf(memory)
  let [from, filled] = [0, 0]
  return lengths.map((length) => {
    const stretch = compressStretch(cutter, content.subarray(from, from + length), clusters.subarray(filled))
    from += length
    filled += stretch.blocks * blockSize
    return stretch
  })
}

/**
 * When its first MiB does not get smaller by a block, all of it stays as it is: what is compressed already costs no more time than that, and nothing
 * takes more space than it would in the plain blob.
 */
function compressStretch(cutter: ExtentCutter, content: Buffer, out: Buffer): CompressedStretch {
  const extents: Extent[] = []
  let [at, blocks] = [0, 0]
  const emit = (extent: Extent, cluster: Buffer) => {
    extents.push(extent)
    cluster.copy(out, blocks * blockSize)
    blocks += extent.blocks
  }
  const cutUntil = (end: number) => {
    while (at < end) {
      const to = Math.min(content.length, at + maxExtentBytes)
      at += cutter.cut({ content, from: at, to, position: at }, emit)
    }
  }
  cutUntil(Math.min(trialBytes, content.length))
  const plainBlocks = at === content.length ? Math.ceil(at / blockSize) : Math.floor(at / blockSize)
  if (blocks >= plainBlocks) return store(content, out)
  cutUntil(content.length)
  return { blocks, extents, isStored: false }
}

function store(content: Buffer, out: Buffer): CompressedStretch {
  const extents: Extent[] = []
  for (let at = 0; at < content.length; at += blockSize)
    extents.push({ length: Math.min(blockSize, content.length - at), blocks: 1, raw: true })
  content.copy(out)
  out.fill(0, content.length, extents.length * blockSize)
  return { blocks: extents.length, extents, isStored: true }
}
