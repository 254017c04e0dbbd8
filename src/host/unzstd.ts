import { gather } from './gather.ts'
import { openZstdStream, type ZstdStep, type ZstdStream, zstdProblem } from './libzstd.ts'

const outputPiece = 256 * 1024
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
  let pending: Promise<Stepped> | undefined
  let complete = false
  try {
    for await (const input of gather(source, inputPiece)) {
      pending = begin(stream, input, 0)
      while (pending !== undefined) {
        const stepped: Stepped = await pending
        // The next piece is made while the consumer is busy with this one.
        pending = isExhausted(stepped, input) ? undefined : begin(stream, input, stepped.offset)
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
function isExhausted({ offset, output, frameEnded }: Stepped, input: Uint8Array): boolean {
  return offset === input.length && (frameEnded || output.length < outputPiece)
}

interface Stepped {
  readonly output: Buffer
  /** How far the input has been taken. */
  readonly offset: number
  readonly frameEnded: boolean
}

/** One that fails while the consumer is busy is no unhandled rejection, which would end the process: it is looked at when its turn comes. */
function begin(stream: ZstdStream, input: Uint8Array, offset: number): Promise<Stepped> {
  const begun = step(stream, input, offset)
  begun.catch(() => {})
  return begun
}

async function step(stream: ZstdStream, input: Uint8Array, offset: number): Promise<Stepped> {
  const output = Buffer.allocUnsafeSlow(outputPiece)
  const { taken, given, frameEnded }: ZstdStep = await stream.decompress(input, offset, output)
  return { output: output.subarray(0, given), offset: offset + taken, frameEnded }
}
