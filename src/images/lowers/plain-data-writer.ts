import { BlockFile } from './block-file.ts'
import { ContentPlaces, type LayerData, type WrittenFile } from './layer-data.ts'

/** Writes a layer's plain data blob: file after file as it is, each from a 4 KiB block on. Long runs of zeros become holes of the blob. */
export class PlainDataWriter implements LayerData {
  readonly #out: BlockFile
  readonly #places = new ContentPlaces()

  /** @param path must not exist */
  constructor(path: string) {
    this.#out = new BlockFile(path)
  }

  beginFile(): void {
    this.#out.mark()
    this.#places.begin()
  }

  write(chunk: Buffer): void {
    this.#places.add(chunk)
    this.#out.append(chunk)
  }

  hole(bytes: number): void {
    this.#places.addZeros(bytes)
    this.#out.appendZeros(bytes)
  }

  endFile(): WrittenFile {
    const { startBlock, sha256, isKnown } = this.#places.end()
    if (isKnown) this.#out.rewind()
    return { startBlock, sha256 }
  }

  settled(): Promise<void> | undefined {
    return this.#out.settled()
  }

  async finish(): Promise<number> {
    return await this.#out.finish()
  }

  async close(): Promise<void> {
    await this.#out.close()
  }
}
