import { createRequire } from 'node:module'
import type Koffi from 'koffi'
import { Problem } from '../base/index.ts'

/** One streaming decompression; memory outside of JavaScript, until `free`. */
export interface ZstdStream {
  /**
   * Decompresses from `input` at `offset` into `output`, on a thread of libuv's pool. One call at a time.
   *
   * @returns bytes taken and given, and whether a frame has just come to its end with all of it in `output`
   * @throws Problem COMPRESSION_INVALID
   */
  decompress(input: Uint8Array, offset: number, output: Uint8Array): Promise<ZstdStep>
  free(): void
}

export interface ZstdStep {
  readonly taken: number
  readonly given: number
  readonly frameEnded: boolean
}

/** Makes frames, one at a time; memory outside of JavaScript, until `free`. */
export interface ZstdCompressor {
  /**
   * One frame that holds all of `input` and says how much that is, made on a thread of libuv's pool. The same bytes from the same libzstd
   * and level.
   */
  compress(input: Uint8Array): Promise<Buffer>
  /** The same on the calling thread. */
  compressHere(input: Uint8Array): Buffer
  free(): void
}

interface LibZstd {
  readonly version: string
  open(): ZstdStream
  openCompressor(level: number): ZstdCompressor
}

let loaded: LibZstd | undefined

/**
 * Starts a decompression with the libzstd of this host, loaded at the first call.
 *
 * @throws Problem TOOL_NOT_FOUND when there is no libzstd
 * @see zstd.h, "Streaming decompression"
 */
export function openZstdStream(): ZstdStream {
  return libzstd().open()
}

/**
 * Starts a compressor.
 *
 * @param level of 1 (fast) to 19 (small)
 * @throws Problem TOOL_NOT_FOUND when there is no libzstd
 * @see zstd.h, "Explicit context"
 */
export function openZstdCompressor(level: number): ZstdCompressor {
  return libzstd().openCompressor(level)
}

/** The version of this host's libzstd, `1.5.4`: another may make other frames of the same bytes. @throws Problem TOOL_NOT_FOUND */
export function zstdVersion(): string {
  return libzstd().version
}

function libzstd(): LibZstd {
  loaded ??= bind()
  return loaded
}

function bind(): LibZstd {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi
  const library = loadLibrary(koffi)
  const create = library.func('ZSTD_createDCtx', 'void *', [])
  const free = library.func('ZSTD_freeDCtx', 'size_t', ['void *'])
  const setParameter = library.func('ZSTD_DCtx_setParameter', 'size_t', ['void *', 'int', 'int'])
  const decompressStream = library.func('ZSTD_decompressStream', 'size_t', ['void *', 'void *', 'void *'])
  const version = library.func('ZSTD_versionString', 'str', [])
  const createCompressor = library.func('ZSTD_createCCtx', 'void *', [])
  const freeCompressor = library.func('ZSTD_freeCCtx', 'size_t', ['void *'])
  const bound = library.func('ZSTD_compressBound', 'size_t', ['size_t'])
  const compress = library.func('ZSTD_compressCCtx', 'size_t', [
    'void *',
    'void *',
    'size_t',
    'void *',
    'size_t',
    'int',
  ])
  const isError = library.func('ZSTD_isError', 'uint', ['size_t'])
  const errorName = library.func('ZSTD_getErrorName', 'str', ['size_t'])

  const open = (): ZstdStream => {
    const context: unknown = create()
    setParameter(context, ZSTD_d_windowLogMax, windowLogMax)
    return {
      decompress: async (input, offset, output) => {
        const [from, to] = [streamBuffer(koffi, input, offset), streamBuffer(koffi, output, 0)]
        const result = await onThread(decompressStream, context, to, from)
        if (isError(result) !== 0) throw zstdProblem(String(errorName(result)))
        return { taken: position(from) - offset, given: position(to), frameEnded: Number(result) === 0 }
      },
      free: () => free(context),
    }
  }
  const openCompressor = (level: number): ZstdCompressor => {
    const context: unknown = createCompressor()
    const roomFor = (input: Uint8Array) => Buffer.allocUnsafeSlow(Number(bound(input.length)))
    const frameOf = (output: Buffer, result: number | bigint) => {
      if (isError(result) !== 0) throw new Problem('INTERNAL', `zstd cannot compress: ${String(errorName(result))}`)
      // A copy: what is left of the buffer would be held with it.
      return Buffer.from(output.subarray(0, Number(result)))
    }
    return {
      compress: async (input) => {
        const output = roomFor(input)
        return frameOf(output, await onThread(compress, context, output, output.length, input, input.length, level))
      },
      compressHere: (input) => {
        const output = roomFor(input)
        return frameOf(output, compress(context, output, output.length, input, input.length, level))
      },
      free: () => freeCompressor(context),
    }
  }
  return { version: String(version()), open, openCompressor }
}

function onThread(
  call: ReturnType<ReturnType<typeof Koffi.load>['func']>,
  ...args: unknown[]
): Promise<number | bigint> {
  return new Promise((resolve, reject) => {
    call.async(...args, (error: unknown, value: number | bigint) => (error ? reject(error) : resolve(value)))
  })
}

function loadLibrary(koffi: typeof Koffi): ReturnType<typeof Koffi.load> {
  const name = process.platform === 'darwin' ? 'libzstd.1.dylib' : 'libzstd.so.1'
  try {
    return koffi.load(name)
  } catch (error) {
    throw new Problem('TOOL_NOT_FOUND', `zstd cannot be used: the library ${name} is not installed`, {
      hint: process.platform === 'darwin' ? 'run: brew install zstd' : 'run: apt install libzstd1',
      cause: error,
      data: { library: name },
    })
  }
}

/** ZSTD_inBuffer and ZSTD_outBuffer are alike: a pointer, its size, and the position that the call moves on. */
function streamBuffer(koffi: typeof Koffi, bytes: Uint8Array, offset: number): BigUint64Array {
  return new BigUint64Array([koffi.address(bytes), BigInt(bytes.length), BigInt(offset)])
}

function position(buffer: BigUint64Array): number {
  return Number(buffer[2])
}

export function zstdProblem(why: string): Problem {
  return new Problem('COMPRESSION_INVALID', `the zstd stream is damaged: ${why}`)
}

/** zstd.h */
const ZSTD_d_windowLogMax = 100
/** 128 MiB: what `zstd --long` needs, and the most that a decompressor should take without being asked: RFC 8878 section 3.1.1.1.2. */
const windowLogMax = 27
