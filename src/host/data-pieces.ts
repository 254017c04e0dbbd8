import type { Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { dataSegments } from './data-segments.ts'

/** What is all zeros is left out in pieces of this size: smaller ones would make a file of many extents, larger ones would keep more zeros. */
export const zeroBlockBytes = 64 * 1024
/** How much is read, hashed and written at a time. */
export const pieceBytes = 1024 * 1024
const zeros = Buffer.alloc(zeroBlockBytes)

/** Where to look in a file, in bytes. */
export interface Piece {
  readonly offset: number
  readonly length: number
}

/** What is at a place of a file. */
export interface PlacedBytes {
  readonly offset: number
  readonly bytes: Buffer
}

/** What may hold something else than zeros, from one multiple of the block size to another, in order and at most `pieceBytes` of it at a time. */
export function* pieces(fd: number, size: number): Generator<Piece> {
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

/** Reads those pieces: one is the consumer's until it asks for the next, which is read meanwhile. @throws a system error */
export async function* readPieces(source: FileHandle): AsyncGenerator<PlacedBytes, void, undefined> {
  const { size } = await source.stat()
  const buffers = [Buffer.allocUnsafe(pieceBytes), Buffer.allocUnsafe(pieceBytes)] as const
  let turn: 0 | 1 = 0
  const left = pieces(source.fd, size)
  const readNext = (): Promise<PlacedBytes> | undefined => {
    const { value: piece } = left.next()
    if (piece === undefined) return undefined
    const read = readPiece(source, piece, buffers[turn])
    turn = turn === 0 ? 1 : 0
    read.catch(() => undefined)
    return read
  }
  let reading = readNext()
  try {
    while (reading !== undefined) {
      const piece: PlacedBytes = await reading
      reading = readNext()
      yield piece
    }
  } finally {
    // Whoever closes the file does not close it under a read.
    await reading?.catch(() => undefined)
  }
}

async function readPiece(source: FileHandle, { offset, length }: Piece, buffer: Buffer): Promise<PlacedBytes> {
  const { bytesRead } = await source.read(buffer, 0, length, offset)
  if (bytesRead < length) throw becameShorter()
  return { offset, bytes: buffer.subarray(0, length) }
}

export function becameShorter(): Error {
  return Object.assign(new Error('the file became shorter while it was read'), { code: 'EIO' })
}

/** The blocks of a piece that are not all zeros, neighbours together. */
export function* dataRuns({ offset, bytes: piece }: PlacedBytes): Generator<PlacedBytes> {
  let start: number | undefined
  for (let at = 0; at < piece.length; at += zeroBlockBytes) {
    const block = piece.subarray(at, at + zeroBlockBytes)
    const isZero = block.equals(zeros.subarray(0, block.length))
    if (!isZero) start ??= at
    else if (start !== undefined) {
      yield { offset: offset + start, bytes: piece.subarray(start, at) }
      start = undefined
    }
  }
  if (start !== undefined) yield { offset: offset + start, bytes: piece.subarray(start) }
}

/** Of each block its place, as 8 bytes (little endian), and its bytes. */
export function hashRun(hash: Hash, { offset, bytes }: PlacedBytes): void {
  const place = Buffer.alloc(8)
  for (let at = 0; at < bytes.length; at += zeroBlockBytes) {
    place.writeBigUInt64LE(BigInt(offset + at))
    hash.update(place).update(bytes.subarray(at, at + zeroBlockBytes))
  }
}
