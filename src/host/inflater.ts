import { createRequire } from 'node:module'
import type Koffi from 'koffi'

/** A decompression of gzip members, step by step, on the calling thread; memory outside of JavaScript, until it is disposed of. */
export interface Inflater extends Disposable {
  /**
   * Decompresses from `input` at `offset` into `output`.
   *
   * @returns bytes taken and given, and whether a member has just come to its end; a string when what comes is no gzip
   */
  step(input: Uint8Array, offset: number, output: Uint8Array): InflateStep | string
  /** What comes next is another member. */
  reset(): void
}

export interface InflateStep {
  readonly taken: number
  readonly given: number
  readonly memberEnded: boolean
}

interface Zlib {
  readonly koffi: typeof Koffi
  readonly init: (stream: Buffer) => number
  readonly inflate: (stream: Buffer) => number
  readonly reset: (stream: Buffer) => number
  readonly end: (stream: Buffer) => number
}

let loaded: Zlib | 'none' | undefined

/**
 * Starts a decompression with the zlib that is in this process: Node exports its own to addons, and its header with it. Undefined when this Node
 * does not.
 *
 * @see zlib.h, "inflateInit2"
 */
export function openInflater(): Inflater | undefined {
  loaded ??= bind()
  return loaded === 'none' ? undefined : open(loaded)
}

function bind(): Zlib | 'none' {
  // z_stream is laid out below as it is on 64-bit little-endian Unix.
  if (process.platform === 'win32' || !['x64', 'arm64'].includes(process.arch)) return 'none'
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi
  try {
    const library = koffi.load(null)
    const init = library.func('inflateInit2_', 'int', ['void *', 'int', 'str', 'int'])
    const inflate = library.func('inflate', 'int', ['void *', 'int'])
    const reset = library.func('inflateReset', 'int', ['void *'])
    const end = library.func('inflateEnd', 'int', ['void *'])
    return {
      koffi,
      init: (stream) => init(stream, gzipWindowBits, process.versions.zlib, streamBytes),
      inflate: (stream) => inflate(stream, Z_NO_FLUSH),
      reset: (stream) => reset(stream),
      end: (stream) => end(stream),
    }
  } catch {
    return 'none'
  }
}

function open(zlib: Zlib): Inflater | undefined {
  // zlib keeps its address: it must not move.
  const stream = Buffer.allocUnsafeSlow(streamBytes).fill(0)
  if (zlib.init(stream) !== Z_OK) return undefined
  return {
    step(input, offset, output) {
      point(zlib, stream, { at: nextIn, bytes: input, offset })
      point(zlib, stream, { at: nextOut, bytes: output, offset: 0 })
      const result = zlib.inflate(stream)
      // Z_BUF_ERROR: it wants more of something, which is no error.
      if (result !== Z_OK && result !== Z_STREAM_END && result !== Z_BUF_ERROR) return messages[result] ?? `${result}`
      return {
        taken: input.length - offset - stream.readUInt32LE(nextIn + 8),
        given: output.length - stream.readUInt32LE(nextOut + 8),
        memberEnded: result === Z_STREAM_END,
      }
    },
    reset: () => void zlib.reset(stream),
    [Symbol.dispose]: () => void zlib.end(stream),
  }
}

interface Pointed {
  /** Of a pointer in z_stream, after which comes how many bytes are there. */
  readonly at: number
  readonly bytes: Uint8Array
  readonly offset: number
}

function point({ koffi }: Zlib, stream: Buffer, { at, bytes, offset }: Pointed): void {
  stream.writeBigUInt64LE(koffi.address(bytes) + BigInt(offset), at)
  stream.writeUInt32LE(bytes.length - offset, at + 8)
}

/** z_stream: next_in, avail_in, total_in, next_out, avail_out, and what is zlib's own. */
const streamBytes = 112
const nextIn = 0
const nextOut = 24

/** zlib.h; 16 more than the largest window: gzip and nothing else. */
const gzipWindowBits = 15 + 16
const Z_NO_FLUSH = 0
const Z_OK = 0
const Z_STREAM_END = 1
const Z_BUF_ERROR = -5

const messages: Readonly<Record<number, string>> = {
  '2': 'it wants a dictionary',
  '-2': 'its state is not what it should be',
  '-3': 'what it holds was not made by gzip',
  '-4': 'there is no memory for it',
}
