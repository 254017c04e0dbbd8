import { Readable } from 'node:stream'
import type { Body } from './http-message.ts'

interface WatchOptions {
  readonly signal?: AbortSignal | undefined
  /** Without a sign of life for so long the exchange is ended. */
  readonly silenceMs: number
}

/**
 * Ends an exchange that somebody no longer wants, or that gets nowhere. The HTTP client limits the wait for a connection, for headers and for
 * more of a body; this limits what is left: connections that end before anything was asked, and are made anew.
 */
export class Watch {
  readonly #outer: AbortSignal | undefined
  readonly #inner = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #onAbort = () => this.#inner.abort(this.#outer?.reason)

  constructor({ signal, silenceMs }: WatchOptions) {
    this.#outer = signal
    signal?.addEventListener('abort', this.#onAbort)
    const silence = Object.assign(new Error(`no answer in ${silenceMs} ms`), { code: 'ETIMEDOUT' })
    this.#timer = setTimeout(() => this.#inner.abort(silence), silenceMs)
  }

  get signal(): AbortSignal {
    return this.#inner.signal
  }

  /** The body as the HTTP client takes it. Each piece that it takes is a sign of life. */
  body(body: Body | undefined): Buffer | Readable | null {
    if (body === undefined || Buffer.isBuffer(body)) return body ?? null
    return Readable.from(this.#watched(body), { objectMode: false })
  }

  /** The headers are here. What comes of the body is watched by whoever reads it, but it can still be unwanted. */
  answered(body: Readable): void {
    clearTimeout(this.#timer)
    // A body that is given up on says so to whoever reads it; when nobody does, that is no reason to crash.
    body.on('error', () => {})
    body.once('close', () => this.end())
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#outer?.removeEventListener('abort', this.#onAbort)
  }

  async *#watched(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      this.#timer.refresh()
      yield piece
    }
  }
}
