import { Readable } from 'node:stream'
import { Problem } from '../../../base/index.ts'
import type { UploadBlob } from '../registry.ts'

/** A part of a blob as the body of a request. Remembers what went wrong with it, so that it is not taken for a failure of the network. */
export class UploadSource {
  readonly #request: UploadBlob
  #failure: { readonly error: unknown } | undefined

  constructor(request: UploadBlob) {
    this.#request = request
  }

  /** Exactly `length` bytes from `offset` on, or an error. */
  body(offset: number, length: number): Readable {
    return Readable.from(this.#pieces(offset, length), { objectMode: false })
  }

  /** @throws what the source threw, when it did */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async *#pieces(offset: number, length: number): AsyncGenerator<Uint8Array> {
    const { open, onBytes, digest } = this.#request
    let sent = 0
    try {
      for await (const chunk of open(offset)) {
        const piece = chunk.subarray(0, length - sent)
        sent += piece.length
        yield piece
        onBytes?.(offset + sent)
        if (sent === length) return
      }
      if (sent < length)
        throw new Problem('SIZE_MISMATCH', `${digest} ended after ${offset + sent} bytes, before its size`)
    } catch (error) {
      this.#failure = { error }
      throw error
    }
  }
}
