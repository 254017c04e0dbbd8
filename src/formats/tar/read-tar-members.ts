import { Problem } from '../../base/index.ts'
import type { TarEntry } from './tar-entry.ts'
import type { TarLimits } from './tar-limits.ts'
import { TarReader } from './tar-reader.ts'

export interface TarMember {
  readonly entry: TarEntry
  /**
   * The content, holes as zeros; the pieces are views of the source's chunks. It can be read once, and only until the next member is asked
   * for; what is left unread is passed over.
   */
  readonly body: AsyncIterable<Buffer>
  /** The same, in place of `body`: holes as what they are. */
  readonly pieces: AsyncIterable<TarPiece>
}

/** Bytes, or so many zeros that the archive does not have. */
export type TarPiece = Buffer | { readonly hole: number }

export interface ReadTarMembersOptions {
  readonly limits?: Partial<TarLimits>
  readonly onWarning?: (message: string) => void
}

/**
 * The members of an archive one by one, at the pace of the reader: no more of `source` is asked for than is needed. After the last member the
 * source is read to its end. A source that is not read to its end, because the caller stops early, is told so.
 *
 * @throws Problem TAR_INVALID, LIMIT_EXCEEDED, from here and from the bodies; and whatever `source` throws
 */
export async function* readTarMembers(
  source: AsyncIterable<Buffer>,
  { limits = {}, onWarning }: ReadTarMembersOptions = {},
): AsyncGenerator<TarMember, void, undefined> {
  const events = tarEvents(source, { limits, onWarning })
  try {
    for (let event = await nextEvent(events); event !== undefined; event = await nextEvent(events)) {
      // Anything else is what the caller left unread of the body before.
      if (event.kind !== 'entry') continue
      const pieces = new MemberBody(events)
      yield { entry: event.entry, pieces, body: withZeros(pieces) }
      pieces.close()
    }
  } finally {
    await events.return()
  }
}

type TarEvent =
  | { readonly kind: 'entry'; readonly entry: TarEntry }
  | { readonly kind: 'data'; readonly chunk: Buffer }
  | { readonly kind: 'hole'; readonly bytes: number }
  | { readonly kind: 'end of entry' }

type TarEvents = AsyncGenerator<TarEvent, void, undefined>

interface EventOptions {
  readonly limits: Partial<TarLimits>
  readonly onWarning: ((message: string) => void) | undefined
}

async function nextEvent(events: TarEvents): Promise<TarEvent | undefined> {
  const { done, value } = await events.next()
  return done ? undefined : value
}

/** The reader's calls as values; those of one chunk wait here, and hold nothing but that chunk. */
async function* tarEvents(source: AsyncIterable<Buffer>, { limits, onWarning }: EventOptions): TarEvents {
  let events: TarEvent[] = []
  const reader = new TarReader(
    {
      entry: (entry) => events.push({ kind: 'entry', entry }),
      data: (chunk) => events.push({ kind: 'data', chunk }),
      hole: (bytes) => events.push({ kind: 'hole', bytes }),
      entryEnd: () => events.push({ kind: 'end of entry' }),
      warning: (message) => onWarning?.(message),
    },
    limits,
  )
  for await (const chunk of source) {
    reader.write(chunk)
    yield* events
    events = []
  }
  reader.end()
}

const holeChunkBytes = 64 << 10

function withZeros(pieces: AsyncIterable<TarPiece>): AsyncIterable<Buffer> {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const piece of pieces) {
        if (Buffer.isBuffer(piece)) yield piece
        else yield* zeros(piece.hole)
      }
    },
  }
}

class MemberBody implements AsyncIterable<TarPiece> {
  readonly #events: TarEvents
  #state: 'unread' | 'being read' | 'closed' = 'unread'

  constructor(events: TarEvents) {
    this.#events = events
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TarPiece, void, undefined> {
    if (this.#state === 'being read') throw misuse('is read a second time')
    if (this.#state === 'unread') this.#state = 'being read'
    for (let event = await this.#next(); event.kind !== 'end of entry'; event = await this.#next()) {
      if (event.kind === 'data') yield event.chunk
      else if (event.kind === 'hole') yield { hole: event.bytes }
    }
  }

  /** Says that the next member was asked for: the events to come are not this body's. */
  close(): void {
    this.#state = 'closed'
  }

  async #next(): Promise<TarEvent> {
    if (this.#state === 'closed') throw misuse('is read after the next member was asked for')
    const event = await nextEvent(this.#events)
    if (event === undefined) throw misuse('has no end')
    return event
  }
}

function* zeros(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= holeChunkBytes) yield Buffer.alloc(Math.min(left, holeChunkBytes))
}

function misuse(what: string): Problem {
  return new Problem('INTERNAL', `the body of a tar member ${what}`)
}
