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

interface LibZstd {
  open(): ZstdStream
}

let loaded: LibZstd | undefined

/**
 * Starts a decompression with the libzstd of this host, loaded at the first call.
 *
 * @throws Problem TOOL_NOT_FOUND when there is no libzstd
 * @see zstd.h, "Streaming decompression"
 */
export function openZstdStream(): ZstdStream {
  loaded ??= bind()
  return loaded.open()
}

function bind(): LibZstd {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi
  const library = loadLibrary(koffi)
  const create = library.func('ZSTD_createDCtx', 'void *', [])
  const free = library.func('ZSTD_freeDCtx', 'size_t', ['void *'])
  const setParameter = library.func('ZSTD_DCtx_setParameter', 'size_t', ['void *', 'int', 'int'])
  const decompressStream = library.func('ZSTD_decompressStream', 'size_t', ['void *', 'void *', 'void *'])
  const isError = library.func('ZSTD_isError', 'uint', ['size_t'])
  const errorName = library.func('ZSTD_getErrorName', 'str', ['size_t'])

  const open = (): ZstdStream => {
    const context: unknown = create()
    setParameter(context, ZSTD_d_windowLogMax, windowLogMax)
    return {
      decompress: async (input, offset, output) => {
        const [from, to] = [streamBuffer(koffi, input, offset), streamBuffer(koffi, output, 0)]
        const result = await new Promise<number | bigint>((resolve, reject) => {
          decompressStream.async(context, to, from, (error: unknown, value: number) =>
            error ? reject(error) : resolve(value),
          )
        })
        if (isError(result) !== 0) throw zstdProblem(String(errorName(result)))
        return { taken: position(from) - offset, given: position(to), frameEnded: Number(result) === 0 }
      },
      free: () => free(context),
    }
  }
  return { open }
}

function loadLibrary(koffi: typeof Koffi): ReturnType<typeof Koffi.load> {
  const name = process.platform === 'darwin' ? 'libzstd.1.dylib' : 'libzstd.so.1'
  try {
    return koffi.load(name)
  } catch (error) {
    throw new Problem('TOOL_NOT_FOUND', `zstd cannot be decompressed: the library ${name} is not installed`, {
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
