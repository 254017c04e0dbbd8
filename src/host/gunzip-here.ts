import { setImmediate } from 'node:timers/promises'
import { gather } from './gather.ts'
import { gunzip, gzipDamaged } from './gunzip.ts'
import { type Inflater, type InflateStep, openInflater } from './inflater.ts'

const outputPiece = 256 * 1024
const inputPiece = 64 * 1024
/** After so many pieces the thread hears what else it is told: that nobody wants more of them, for one. */
const piecesInOneTurn = 4

/**
 * As `gunzip`, on the calling thread, which may block for a millisecond at a time: no trips to other threads, and one buffer for all pieces. Each
 * piece is the consumer's until it asks for the next one.
 */
export async function* gunzipHere(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  using inflater = openInflater()
  if (inflater === undefined) return yield* gunzip(source)
  const members = new Members(inflater)
  let pieces = 0
  for await (const input of gather(source, inputPiece)) {
    for (const piece of members.take(input)) {
      yield piece
      if (++pieces % piecesInOneTurn === 0) await setImmediate()
    }
  }
  members.end()
}

/** What a stream consists of: members, and after the last one nothing but zeros. */
class Members {
  readonly #inflater: Inflater
  readonly #output = Buffer.allocUnsafeSlow(outputPiece)
  #at: 'start' | 'member' | 'member ended' | 'padding' = 'start'

  constructor(inflater: Inflater) {
    this.#inflater = inflater
  }

  *take(input: Uint8Array): Generator<Buffer> {
    for (let offset = 0; ; ) {
      if (this.#at === 'member ended' && offset < input.length) this.#next(input[offset])
      if (this.#at === 'padding') return this.#pad(input, offset)
      if (this.#at === 'member ended') return
      this.#at = 'member'
      const step = this.#step(input, offset)
      offset += step.taken
      if (step.memberEnded) this.#at = 'member ended'
      if (step.given > 0) yield this.#output.subarray(0, step.given)
      // All is taken, and nothing is held back for want of room.
      else if (offset === input.length && !step.memberEnded) return
    }
  }

  end(): void {
    if (this.#at === 'start') throw gzipDamaged('it is empty')
    if (this.#at === 'member') throw gzipDamaged('it is cut short')
  }

  #next(byte: number | undefined): void {
    this.#at = byte === 0 ? 'padding' : 'member'
    if (this.#at === 'member') this.#inflater.reset()
  }

  #pad(input: Uint8Array, offset: number): void {
    if (input.subarray(offset).some((byte) => byte !== 0))
      throw gzipDamaged('something that is not gzip follows its end')
  }

  #step(input: Uint8Array, offset: number): InflateStep {
    const step = this.#inflater.step(input, offset, this.#output)
    if (typeof step === 'string') throw gzipDamaged(step)
    return step
  }
}
