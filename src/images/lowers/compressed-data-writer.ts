import { writeFileSync } from 'node:fs'
import { type Digest, problemFromSystem } from '../../base/index.ts'
import {
  blockSize,
  type Extent,
  ExtentCutter,
  encodeLayerMap,
  type MappedContent,
  maxExtentBytes,
} from '../../formats/index.ts'
import { BlockFile } from './block-file.ts'
import { ContentPlaces, type LayerData, type WrittenFile } from './layer-data.ts'

/** A file is judged by so much of its beginning, and an extent may reach as far beyond it. */
const trialBytes = maxExtentBytes
const windowBytes = trialBytes + maxExtentBytes
const zeros = Buffer.alloc(64 * 1024)

/** @param path and mapPath must not exist; clusterBlocks is what ExtentCutter takes */
export interface CompressedDataFiles {
  readonly path: string
  readonly mapPath: string
  readonly clusterBlocks: number
}

/**
 * Writes a layer's compressed data blob, and the map to it from the plain one. A file whose first MiB does not get smaller by a block is stored as it is,
 * all of it: so files that are compressed already cost no more time than that, and none takes more space than it would in the plain blob.
 *
 * What becomes of a file depends on its content alone, not on the pieces in which it comes.
 */
export class CompressedDataWriter implements LayerData {
  readonly #files: CompressedDataFiles
  readonly #out: BlockFile
  readonly #cutter: ExtentCutter
  readonly #places = new ContentPlaces()
  readonly #contents = new Map<number, MappedContent>()
  readonly #window = Buffer.alloc(windowBytes)
  #filled = 0
  /** What the window's first byte is in the file. */
  #position = 0
  #fileStart = 0
  #extents: Extent[] = []
  #mode: 'undecided' | 'compressed' | 'stored' = 'undecided'

  constructor(files: CompressedDataFiles) {
    this.#files = files
    this.#out = new BlockFile(files.path)
    this.#cutter = new ExtentCutter(files.clusterBlocks)
  }

  beginFile(): void {
    this.#out.pad()
    this.#fileStart = this.#out.end
    this.#places.begin()
    this.#filled = 0
    this.#position = 0
    this.#extents = []
    this.#mode = 'undecided'
  }

  write(chunk: Buffer): void {
    this.#places.add(chunk)
    this.#take(chunk)
  }

  hole(bytes: number): void {
    this.#places.addZeros(bytes)
    let left = bytes
    for (; left > 0 && this.#mode !== 'stored'; left -= zeros.length) this.#take(zeros.subarray(0, left))
    if (left > 0) this.#out.appendZeros(left)
  }

  endFile(): WrittenFile {
    this.#drain({ ended: true })
    const { startBlock, sha256, isKnown } = this.#places.end()
    if (isKnown) this.#out.rewind(this.#fileStart)
    else this.#contents.set(startBlock, this.#mapped())
    return { startBlock, sha256 }
  }

  finish(diffId: Digest): number {
    const map = encodeLayerMap({ diffId, dataBlocks: this.#out.finish(), contents: this.#contents })
    try {
      writeFileSync(this.#files.mapPath, map, { flag: 'wx', mode: 0o600 })
    } catch (error) {
      throw problemFromSystem(error, `write ${this.#files.mapPath}`)
    }
    return this.#places.blocks
  }

  close(): void {
    this.#out.close()
  }

  #mapped(): MappedContent {
    const startBlock = this.#fileStart / blockSize
    if (this.#mode === 'stored') return { kind: 'blocks', startBlock }
    const extents = this.#extents
    return { kind: 'compressed', startBlock, blocks: blocksOf(extents), extents }
  }

  #take(chunk: Buffer): void {
    let taken = 0
    while (taken < chunk.length && this.#mode !== 'stored') {
      const copied = chunk.copy(this.#window, this.#filled, taken)
      this.#filled += copied
      taken += copied
      if (this.#filled === windowBytes) this.#drain({ ended: false })
    }
    this.#out.append(chunk.subarray(taken))
  }

  /** Cuts all extents that can be told by now, and keeps what is left of the window. */
  #drain({ ended }: { readonly ended: boolean }): void {
    let from = 0
    if (this.#mode === 'undecided') from = this.#decide(ended)
    if (this.#mode === 'stored') return
    while (ended ? from < this.#filled : from + maxExtentBytes <= this.#filled) from += this.#cut(from)
    this.#window.copyWithin(0, from, this.#filled)
    this.#position += from
    this.#filled -= from
  }

  /** Tries the beginning of the file. @returns how much of the window is done */
  #decide(ended: boolean): number {
    let from = 0
    while (from < Math.min(trialBytes, this.#filled)) from += this.#cut(from)
    const isAll = ended && from === this.#filled
    const plainBlocks = isAll ? Math.ceil(from / blockSize) : Math.floor(from / blockSize)
    if (blocksOf(this.#extents) < plainBlocks) {
      this.#mode = 'compressed'
      return from
    }
    this.#mode = 'stored'
    this.#out.rewind(this.#fileStart)
    this.#out.append(this.#window.subarray(0, this.#filled))
    this.#filled = 0
    return 0
  }

  #cut(from: number): number {
    const to = Math.min(this.#filled, from + maxExtentBytes)
    return this.#cutter.cut({ content: this.#window, from, to, position: this.#position + from }, (extent, cluster) => {
      this.#extents.push(extent)
      this.#out.append(cluster)
    })
  }
}

function blocksOf(extents: readonly Extent[]): number {
  return extents.reduce((sum, { blocks }) => sum + blocks, 0)
}
