import type { Digest } from '../../base/index.ts'
import { unlessCancelled } from '../../wires/index.ts'
import type { ReadStored } from './part-origins.ts'

/** A larger one is asked for when it is read: what comes is in memory until then. */
const maxBytes = 8 << 20

/** A blob as it is stored. */
export interface StoredBlob {
  readonly digest: Digest
  readonly size: number
}

/**
 * Blobs that are asked for before anybody can read them: that they will be read is known earlier than what they must be. Nothing is verified here; whoever reads them does that, as with
 * whatever comes from elsewhere.
 */
export class BlobsAhead implements Disposable {
  readonly #coming = new Map<Digest, Coming>()
  readonly #closing = new AbortController()

  /** Asks for a blob. @param most so many of its first bytes; all of them unless told */
  ask(readStored: ReadStored, { digest, size }: StoredBlob, most = size): void {
    const until = Math.min(size, most)
    if (until > maxBytes || this.#closing.signal.aborted || this.#coming.has(digest)) return
    const blob = readStored({ digest, size, until, signal: this.#closing.signal })
    this.#coming.set(digest, { until, first: linkOf(blob[Symbol.asyncIterator]()) })
  }

  /** The same reads; what was asked for is not asked for again, unless it was wrong or could not be had. */
  before(readStored: ReadStored): ReadStored {
    return (request) => {
      const coming = request.mirrors === false ? undefined : this.#coming.get(request.digest)
      const { until = request.size } = request
      return coming === undefined || until > coming.until ? readStored(request) : this.#read(coming.first, request)
    }
  }

  /** Nobody begins to read it any more: it need not be in memory. Who is reading goes on. */
  forget(): void {
    this.#coming.clear()
  }

  /** What is still coming is stopped; nobody may be reading it. */
  [Symbol.dispose](): void {
    this.#closing.abort()
    this.#coming.clear()
  }

  async *#read(first: Link, request: Parameters<ReadStored>[0]): AsyncGenerator<Buffer> {
    const { digest, size, from = 0, until = size, signal } = request
    let isRead = false
    try {
      let link = first
      for (let at = 0; at < until; ) {
        const next = await unlessCancelled(link, signal)
        if (next === undefined) return
        const piece = next.piece.subarray(Math.max(0, from - at), Math.max(0, until - at))
        at += next.piece.length
        link = next.rest
        if (piece.length > 0) yield piece
      }
      isRead = true
    } finally {
      // Who reads on after a failure asks the registry.
      if (!isRead) this.#coming.delete(digest)
    }
  }
}

interface Coming {
  /** Its bytes from there on were not asked for. */
  readonly until: number
  readonly first: Link
}

/** What has come of a blob, and what comes after it: any number may follow it, each from the beginning. */
type Link = Promise<{ readonly piece: Buffer; readonly rest: Link } | undefined>

function linkOf(pieces: AsyncIterator<Buffer>): Link {
  const link = pieces.next().then(({ done, value }) => (done ? undefined : { piece: value, rest: linkOf(pieces) }))
  // Whoever follows it hears of it.
  link.catch(() => {})
  return link
}
