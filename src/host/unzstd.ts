import { gather } from './gather.ts'
import { openZstdStream, type ZstdStep, type ZstdStream, zstdProblem } from './libzstd.ts'

const outputPiece = 256 * 1024
/** What is left of a buffer is used for the next piece, if it is worth a step. */
const leastOutput = 64 * 1024
const inputPiece = 64 * 1024

/**
 * Decompresses every frame of a zstd stream; skippable frames are skipped.
 *
 * It is libzstd's doing, not node:zlib's, which stops without a word after the first frame: layers of zstd:chunked images have many.
 *
 * @see RFC 8878; `decompress` says what it throws
 */
export async function* unzstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const stream = openZstdStream()
  const rooms = new Rooms()
  let pending: Promise<Stepped> | undefined
  let complete = false
  try {
    for await (const input of gather(source, inputPiece)) {
      pending = begin(stream, rooms, { input, offset: 0 })
      while (pending !== undefined) {
        const stepped: Stepped = await pending
        // The next piece is made while the consumer is busy with this one.
        pending = isExhausted(stepped, input) ? undefined : begin(stream, rooms, { input, offset: stepped.offset })
        complete = stepped.frameEnded
        if (stepped.output.length > 0) yield stepped.output
      }
    }
    if (!complete) throw zstdProblem('it is cut short')
  } finally {
    // libzstd may be at work on a piece that nobody will fetch.
    await pending?.catch(() => {})
    stream.free()
  }
}

/** Whether libzstd has taken all of the input and holds no output back for want of room. */
function isExhausted({ offset, output, room, frameEnded }: Stepped, input: Uint8Array): boolean {
  return offset === input.length && (frameEnded || output.length < room)
}

interface Stepped {
  readonly output: Buffer
  /** How much could have been given. */
  readonly room: number
  /** How far the input has been taken. */
  readonly offset: number
  readonly frameEnded: boolean
}

/** Room for what is made, one piece behind the other: a frame may give few bytes, and each piece is the consumer's to keep. */
class Rooms {
  #rest = Buffer.alloc(0)

  next(): Buffer {
    if (this.#rest.length < leastOutput) this.#rest = Buffer.allocUnsafeSlow(outputPiece)
    return this.#rest
  }

  take(bytes: number): Buffer {
    const taken = this.#rest.subarray(0, bytes)
    this.#rest = this.#rest.subarray(bytes)
    return taken
  }
}

interface Input {
  readonly input: Uint8Array
  readonly offset: number
}

/** One that fails while the consumer is busy is no unhandled rejection, which would end the process: it is looked at when its turn comes. */
function begin(stream: ZstdStream, rooms: Rooms, from: Input): Promise<Stepped> {
  const begun = step(stream, rooms, from)
  begun.catch(() => {})
  return begun
}

async function step(stream: ZstdStream, rooms: Rooms, { input, offset }: Input): Promise<Stepped> {
  const room = rooms.next()
  const { taken, given, frameEnded }: ZstdStep = await stream.decompress(input, offset, room)
  return { output: rooms.take(given), room: room.length, offset: offset + taken, frameEnded }
}
