import { Problem } from '../../../base/index.ts'
import type { UploadBlob } from '../registry.ts'

/** A part of a blob as the body of a request. Remembers what went wrong with it, so that it is not taken for a failure of the network. */
export class UploadSource {
  readonly #request: UploadBlob
  #failure: { readonly error: unknown } | undefined

  constructor(request: UploadBlob) {
    this.#request = request
  }

  /** @throws what the source threw, when it did */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Exactly `length` bytes from `offset` on, or an error. */
  async *body(offset: number, length: number): AsyncGenerator<Uint8Array> {
    const { onBytes } = this.#request
    const source = this.#open(offset)
    let sent = 0
    try {
      while (sent < length) {
        const chunk = await this.#next(source, offset + sent)
        const piece = chunk.subarray(0, length - sent)
        sent += piece.length
        // A connection that breaks is thrown in here: no failure of the source.
        yield piece
        onBytes?.(offset + sent)
      }
    } finally {
      await source.return?.()
    }
  }

  #open(offset: number): AsyncIterator<Uint8Array> {
    try {
      return this.#request.open(offset)[Symbol.asyncIterator]()
    } catch (error) {
      this.#failure = { error }
      throw error
    }
  }

  async #next(source: AsyncIterator<Uint8Array>, at: number): Promise<Uint8Array> {
    const { digest, size } = this.#request
    try {
      const next = await source.next()
      if (next.done !== true) return next.value
      throw new Problem('SIZE_MISMATCH', `${digest} ended after ${at} of ${size} bytes`)
    } catch (error) {
      this.#failure = { error }
      throw error
    }
  }
}
