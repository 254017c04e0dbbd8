import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { problemFromSystem } from '../base/index.ts'
import { dataSegments } from './data-segments.ts'
import { writeWhole } from './write-whole.ts'

export interface DataCopied {
  /** What was not zeros, and so was copied. */
  readonly dataBytes: number
}

export interface WithoutZeros extends DataCopied {
  /** Of all that is not zeros: of each block its place, as 8 bytes (little endian), and its bytes. Wherever holes are, it is the same. */
  readonly sha256: string
}

export interface CopyWithoutZeros {
  readonly from: string
  /** There, and nothing but a hole; it gets the size of `from`. Left out, `from` is only read. */
  readonly to?: string | undefined
}

/** What is all zeros is left out in pieces of this size: smaller ones would make a file of many extents, larger ones would keep more zeros. */
export const zeroBlockBytes = 64 * 1024
/** How much is read, hashed and written at a time. */
const pieceBytes = 1024 * 1024
const zeros = Buffer.alloc(zeroBlockBytes)

/**
 * Copies a file and leaves out what is zeros in it, in blocks of 64 KiB: that is a hole in the copy. It is not durable yet.
 *
 * @throws Problem FILE_NOT_FOUND, NO_SPACE, IO_FAILED; some of it may be there then
 */
export async function copyWithoutZeros(files: CopyWithoutZeros): Promise<WithoutZeros> {
  const hash = createHash('sha256')
  const { dataBytes } = await copyFile(files, hash)
  return { sha256: hash.digest('hex'), dataBytes }
}

/** The same without a checksum, for what nobody keeps. */
export async function copyWithoutSum(files: Required<CopyWithoutZeros>): Promise<DataCopied> {
  return await copyFile(files, undefined)
}

async function copyFile({ from, to }: CopyWithoutZeros, hash: Hash | undefined): Promise<DataCopied> {
  try {
    await using source = await open(from, 'r')
    if (to === undefined) return await copy(source, undefined, hash)
    await using target = await open(to, 'r+')
    await target.truncate((await source.stat()).size)
    return await copy(source, target, hash)
  } catch (error) {
    throw problemFromSystem(error, to === undefined ? `read ${from}` : `copy ${from} to ${to}`)
  }
}

async function copy(source: FileHandle, target: FileHandle | undefined, hash: Hash | undefined): Promise<DataCopied> {
  const { size } = await source.stat()
  let dataBytes = 0
  // While one is written and hashed, the next is read.
  const buffers = [Buffer.allocUnsafe(pieceBytes), Buffer.allocUnsafe(pieceBytes)] as const
  let turn: 0 | 1 = 0
  let writing: Promise<unknown> = Promise.resolve()
  const left = pieces(source.fd, size)
  const readNext = (): Promise<ReadPiece> | undefined => {
    const { value: piece } = left.next()
    if (piece === undefined) return undefined
    const read = readPiece(source, piece, buffers[turn])
    turn = turn === 0 ? 1 : 0
    read.catch(() => undefined)
    return read
  }
  try {
    for (let reading = readNext(); reading !== undefined; ) {
      const { offset, bytes } = await reading
      const runs = [...dataRuns(bytes)]
      // What it is written from is what the next is read to.
      await writing
      reading = readNext()
      writing = target === undefined ? Promise.resolve() : writeRuns(target, offset, runs)
      writing.catch(() => undefined)
      for (const run of runs) {
        if (hash !== undefined) hashRun(hash, offset + run.start, run.bytes)
        dataBytes += run.bytes.length
      }
    }
  } finally {
    await writing
  }
  return { dataBytes }
}

interface ReadPiece {
  readonly offset: number
  readonly bytes: Buffer
}

async function readPiece(source: FileHandle, { offset, length }: Piece, buffer: Buffer): Promise<ReadPiece> {
  const { bytesRead } = await source.read(buffer, 0, length, offset)
  if (bytesRead < length) throw Object.assign(new Error('the file became shorter while it was read'), { code: 'EIO' })
  return { offset, bytes: buffer.subarray(0, length) }
}

interface Piece {
  readonly offset: number
  readonly length: number
}

/** What may hold something else than zeros, from one multiple of the block size to another, in order and at most `pieceBytes` of it at a time. */
function* pieces(fd: number, size: number): Generator<Piece> {
  let next = 0
  for (const segment of dataSegments(fd, 0, size)) {
    const start = Math.max(next, Math.floor(segment.offset / zeroBlockBytes) * zeroBlockBytes)
    const end = Math.min(size, Math.ceil((segment.offset + segment.length) / zeroBlockBytes) * zeroBlockBytes)
    for (let offset = start; offset < end; offset += pieceBytes) {
      yield { offset, length: Math.min(pieceBytes, end - offset) }
    }
    next = Math.max(next, end)
  }
}

interface Run {
  readonly start: number
  readonly bytes: Buffer
}

/** The blocks of a piece that are not all zeros, neighbours together. */
function* dataRuns(piece: Buffer): Generator<Run> {
  let start: number | undefined
  for (let at = 0; at < piece.length; at += zeroBlockBytes) {
    const block = piece.subarray(at, at + zeroBlockBytes)
    const isZero = block.equals(zeros.subarray(0, block.length))
    if (!isZero) start ??= at
    else if (start !== undefined) {
      yield { start, bytes: piece.subarray(start, at) }
      start = undefined
    }
  }
  if (start !== undefined) yield { start, bytes: piece.subarray(start) }
}

function hashRun(hash: ReturnType<typeof createHash>, offset: number, bytes: Buffer): void {
  const place = Buffer.alloc(8)
  for (let at = 0; at < bytes.length; at += zeroBlockBytes) {
    place.writeBigUInt64LE(BigInt(offset + at))
    hash.update(place).update(bytes.subarray(at, at + zeroBlockBytes))
  }
}

async function writeRuns(target: FileHandle, offset: number, runs: readonly Run[]): Promise<void> {
  for (const { start, bytes } of runs) await writeWhole(target, bytes, offset + start)
}
