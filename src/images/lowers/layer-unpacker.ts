import { Problem } from '../../base/index.ts'
import type { LayerContent, LayerEntry, LayerIndexEncoder, TarEntry, TarHandler } from '../../formats/index.ts'
import type { LayerData } from './layer-data.ts'
import { inlineMaxBytes, maxIndexBytes } from './layer-limits.ts'

const maxWarnings = 100

/** Sorts what a tar reader finds into a layer's data blob and its index, as it comes. */
export class LayerUnpacker implements TarHandler {
  readonly #data: LayerData
  readonly #index: LayerIndexEncoder
  readonly warnings: string[] = []
  #entry: TarEntry | undefined
  /** The content so far of a file that is small enough for the index. */
  #inline: Buffer[] = []

  constructor(data: LayerData, index: LayerIndexEncoder) {
    this.#data = data
    this.#index = index
  }

  entry(entry: TarEntry): void {
    this.#entry = entry
    this.#inline = []
    if (isOnBlocks(entry)) this.#data.beginFile()
  }

  data(chunk: Buffer): void {
    if (isOnBlocks(this.#entry)) this.#data.write(chunk)
    else this.#inline.push(Buffer.from(chunk))
  }

  hole(bytes: number): void {
    if (isOnBlocks(this.#entry)) this.#data.hole(bytes)
    else this.#inline.push(Buffer.alloc(bytes))
  }

  entryEnd(): void {
    const entry = this.#entry
    if (entry === undefined) return
    this.#index.add(this.#layerEntry(entry))
    if (this.#index.bytes > maxIndexBytes) {
      throw new Problem('LIMIT_EXCEEDED', `the metadata of the layer takes more than ${maxIndexBytes} bytes`)
    }
  }

  warning(message: string): void {
    if (this.warnings.length < maxWarnings) this.warnings.push(message)
  }

  /** Spelled out for each type, as in decodeLayerIndex and for the same reason. */
  #layerEntry(entry: TarEntry): LayerEntry {
    const { path, type, mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs } = entry
    switch (type) {
      case 'file': {
        const content = this.#content(entry)
        return { type, path, mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs, size: entry.size, content }
      }
      case 'hardlink':
      case 'symlink': {
        const { linkTarget } = entry
        return { type, path, mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs, linkTarget }
      }
      case 'char':
      case 'block': {
        const { major, minor } = entry
        return { type, path, mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs, major, minor }
      }
      case 'directory':
      case 'fifo':
        return { type, path, mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs }
    }
  }

  #content(entry: TarEntry): LayerContent {
    if (isOnBlocks(entry)) return { kind: 'blocks', ...this.#data.endFile() }
    return { kind: 'inline', bytes: Buffer.concat(this.#inline) }
  }
}

function isOnBlocks(entry: TarEntry | undefined): boolean {
  return entry?.type === 'file' && entry.size > inlineMaxBytes
}
