import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { problemFromSystem } from '../base/index.ts'
import type { WithoutZeros } from './copy-without-zeros.ts'
import { becameShorter, dataRuns, hashRun, type Piece, type PlacedBytes, pieceBytes, pieces } from './data-pieces.ts'
import { openZstdCompressor, type ZstdCompressor } from './libzstd.ts'
import { headerOf } from './placed-frames.ts'

export interface CompressWithoutZeros {
  readonly from: string
  /** Not there; mode 0600. */
  readonly to: string
  /** Of zstd, 1 (fast) to 19 (small). */
  readonly level: number
}

/**
 * Compresses what is not zeros in a file: inflateWithoutZeros makes it again. All of it is done by the calling thread, which is one of its own then, and in no
 * hurry (giveWay, idleInputOutput); it comes to a turn of its event loop after each MiB. It is not durable yet.
 *
 * @returns what copyWithoutZeros would say of `from`
 * @throws Problem FILE_NOT_FOUND, NO_SPACE, IO_FAILED, TOOL_NOT_FOUND; some of it may be there then
 */
export async function compressWithoutZeros({ from, to, level }: CompressWithoutZeros): Promise<WithoutZeros> {
  const compressor = openZstdCompressor(level)
  const files: number[] = []
  const opened = (fd: number) => {
    files.push(fd)
    return fd
  }
  try {
    const source = opened(openSync(from, 'r'))
    return await compress(source, opened(openSync(to, 'wx', 0o600)), compressor)
  } catch (error) {
    throw problemFromSystem(error, `compress ${from} to ${to}`)
  } finally {
    for (const fd of files) closeSync(fd)
    compressor.free()
  }
}

async function compress(source: number, target: number, compressor: ZstdCompressor): Promise<WithoutZeros> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(pieceBytes)
  let dataBytes = 0
  for (const piece of pieces(source, fstatSync(source).size)) {
    for (const run of dataRuns(readPiece(source, piece, buffer))) {
      hashRun(hash, run)
      dataBytes += run.bytes.length
      const frame = compressor.compressHere(run.bytes)
      writeAll(target, headerOf({ offset: run.offset, frame }))
      writeAll(target, frame)
    }
    await nextTurn()
  }
  return { sha256: hash.digest('hex'), dataBytes }
}

function readPiece(source: number, { offset, length }: Piece, buffer: Buffer): PlacedBytes {
  if (readSync(source, buffer, 0, length, offset) < length) throw becameShorter()
  return { offset, bytes: buffer.subarray(0, length) }
}

function writeAll(target: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(target, bytes, at)
}
