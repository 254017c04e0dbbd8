import { writeFileSync } from 'node:fs'
import { type Digest, problemFromSystem } from '../../base/index.ts'
import { blockSize, type Extent, encodeLayerMap, type MappedContent } from '../../formats/index.ts'
import { BlockFile } from './block-file.ts'
import {
  batchBytes,
  batchMemory,
  batchStretches,
  type CompressedStretch,
  partsOf,
  stretchBytes,
} from './compress-stretches.ts'
import { ContentPlaces, type LayerData, type WrittenFile } from './layer-data.ts'
import { type Compressors, openCompressors } from './open-compressors.ts'

const zeros = Buffer.alloc(64 * 1024)

/** @param path and mapPath must not exist; clusterBlocks is what ExtentCutter takes */
export interface CompressedDataFiles {
  readonly path: string
  readonly mapPath: string
  readonly clusterBlocks: number
  /** That help with compressing; without them it happens here. The bytes do not depend on it. */
  readonly threads?: number | undefined
}

/** A stretch of a file. */
interface Piece {
  readonly bytes: number
  readonly isFirst: boolean
  /** Of a file's last one: where its content is in the plain blob, and whether it came before. */
  readonly end?: { readonly startBlock: number; readonly isKnown: boolean }
}

interface BatchAtWork {
  readonly memory: SharedArrayBuffer
  readonly pieces: readonly Piece[]
  readonly compressed: Promise<readonly CompressedStretch[]>
  /** The memory is for others too, and stays as it is. */
  readonly isShared?: boolean
}

/**
 * Writes a layer's compressed data blob, and the map to it from the plain one. A file of which no stretch gets smaller is stored as it is, all of it, and
 * none takes more space than it would in the plain blob.
 *
 * What becomes of a file depends on its content alone, not on the pieces in which it comes or on who compresses it.
 */
export class CompressedDataWriter implements LayerData {
  readonly #files: CompressedDataFiles
  readonly #out: BlockFile
  readonly #compressors: Compressors
  readonly #places = new ContentPlaces()
  readonly #contents = new Map<number, MappedContent>()
  /** For later batches. */
  readonly #spare: SharedArrayBuffer[] = []
  #memory = batchMemory()
  #content = partsOf(this.#memory).content
  #pieces: Piece[] = []
  #filled = 0
  /** Where in the content the stretch begins that is being filled; whether it is its file's first, and nothing but holes. */
  #stretch = 0
  #isFirst = true
  #isHole = true
  /** In order. */
  readonly #atWork: BatchAtWork[] = []
  #hole: Omit<BatchAtWork, 'pieces'> | undefined
  /** The file whose stretches are being written. */
  #written: { start: number; extents: Extent[]; isStored: boolean } = { start: 0, extents: [], isStored: true }

  constructor(files: CompressedDataFiles) {
    this.#files = files
    this.#out = new BlockFile(files.path)
    this.#compressors = openCompressors(files.threads ?? 0, files.clusterBlocks)
  }

  beginFile(): void {
    this.#places.begin()
    this.#isFirst = true
    this.#isHole = true
  }

  write(chunk: Buffer): void {
    this.#places.add(chunk)
    this.#take(chunk, { isHole: false })
  }

  hole(bytes: number): void {
    this.#places.addZeros(bytes)
    for (let left = bytes; left > 0; left -= zeros.length) this.#take(zeros.subarray(0, left), { isHole: true })
  }

  endFile(): WrittenFile {
    const { startBlock, sha256, isKnown } = this.#places.end()
    if (isKnown) this.#filled = this.#stretch
    // Otherwise nothing of it has gone anywhere.
    if (!isKnown || !this.#isFirst) this.#endStretch({ startBlock, isKnown })
    return { startBlock, sha256 }
  }

  settled(): Promise<void> | undefined {
    return this.#atWork.length > this.#compressors.atOnce ? this.#writeUntil(this.#compressors.atOnce) : undefined
  }

  async finish(diffId: Digest): Promise<number> {
    this.#compressBatch()
    await this.#writeUntil(0)
    const map = encodeLayerMap({ diffId, dataBlocks: await this.#out.finish(), contents: this.#contents })
    try {
      writeFileSync(this.#files.mapPath, map, { flag: 'wx', mode: 0o600 })
    } catch (error) {
      throw problemFromSystem(error, `write ${this.#files.mapPath}`)
    }
    return this.#places.blocks
  }

  async close(): Promise<void> {
    await this.#out.close()
    await this.#compressors.close()
  }

  #take(chunk: Buffer, { isHole }: { readonly isHole: boolean }): void {
    for (let taken = 0; taken < chunk.length; ) {
      if (this.#filled - this.#stretch === stretchBytes) this.#endStretch()
      const room = stretchBytes - (this.#filled - this.#stretch)
      const copied = chunk.copy(this.#content, this.#filled, taken, taken + room)
      this.#filled += copied
      taken += copied
      this.#isHole &&= isHole
    }
  }

  #endStretch(end?: Piece['end']): void {
    const piece = { bytes: this.#filled - this.#stretch, isFirst: this.#isFirst, ...(end && { end }) }
    if (this.#isHole && piece.bytes === stretchBytes) this.#addHole(piece)
    else this.#pieces.push(piece)
    this.#stretch = this.#filled
    this.#isFirst = false
    this.#isHole = true
    if (this.#filled >= batchBytes || this.#pieces.length === batchStretches) this.#compressBatch()
  }

  /** A sparse file may be larger than memory, and all of it comes at once: of its stretches there is one, compressed once. */
  #addHole(piece: Piece): void {
    this.#filled = this.#stretch
    this.#compressBatch()
    if (this.#hole === undefined) {
      const memory = batchMemory()
      this.#hole = { memory, compressed: this.#compress(memory, [stretchBytes]), isShared: true }
    }
    this.#atWork.push({ ...this.#hole, pieces: [piece] })
  }

  #compressBatch(): void {
    if (this.#pieces.length === 0) return
    const [memory, pieces] = [this.#memory, this.#pieces]
    const lengths = pieces.map(({ bytes }) => bytes)
    this.#atWork.push({ memory, pieces, compressed: this.#compress(memory, lengths) })
    this.#memory = this.#spare.pop() ?? batchMemory()
    this.#content = partsOf(this.#memory).content
    this.#pieces = []
    this.#filled = 0
    this.#stretch = 0
  }

  #compress(memory: SharedArrayBuffer, lengths: readonly number[]): BatchAtWork['compressed'] {
    const compressed = this.#compressors.compress({ memory, lengths })
    // A failure is heard of when its turn comes, which after another one is never.
    compressed.catch(() => {})
    return compressed
  }

  async #writeUntil(left: number): Promise<void> {
    while (this.#atWork.length > left) {
      await this.#writeNext()
      await this.#out.settled()
    }
  }

  /** Writes what has become of the oldest batch. */
  async #writeNext(): Promise<void> {
    const batch = this.#atWork.shift()
    if (batch === undefined) return
    const stretches = await batch.compressed
    const { clusters } = partsOf(batch.memory)
    let at = 0
    for (const [number, piece] of batch.pieces.entries()) {
      const { blocks = 0, extents = [], isStored = true } = stretches[number] ?? {}
      if (piece.isFirst) this.#written = { start: this.#out.mark(), extents: [], isStored: true }
      this.#out.append(clusters.subarray(at, at + blocks * blockSize))
      at += blocks * blockSize
      this.#written.isStored &&= isStored
      for (const extent of extents) this.#written.extents.push(extent)
      if (piece.end !== undefined) this.#endWritten(piece.end)
    }
    if (batch.isShared !== true) this.#spare.push(batch.memory)
  }

  #endWritten({ startBlock, isKnown }: { readonly startBlock: number; readonly isKnown: boolean }): void {
    if (isKnown) this.#out.rewind()
    else this.#contents.set(startBlock, mapped(this.#written))
  }
}

function mapped({ start, extents, isStored }: { start: number; extents: Extent[]; isStored: boolean }): MappedContent {
  const startBlock = start / blockSize
  if (isStored) return { kind: 'blocks', startBlock }
  return { kind: 'compressed', startBlock, blocks: extents.reduce((sum, { blocks }) => sum + blocks, 0), extents }
}
