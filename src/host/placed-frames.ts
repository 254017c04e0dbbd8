import type { FileHandle } from 'node:fs/promises'
import { zstdProblem } from './libzstd.ts'

/*
 * A file of which only what is not zeros is kept, compressed: frames of zstd, before each of them a skippable frame that says where its bytes belong. So it is a
 * zstd stream, which anybody can look at; what comes out of that has no holes. Little endian:
 *
 *   4  0x184D2A50
 *   4  12: bytes that follow
 *   8  where in the file, a multiple of 64 KiB
 *   4  bytes of the frame of zstd that follows
 *
 * RFC 8878, section 3.1.2. There is no checksum: whoever keeps such a file keeps that of what is in it.
 */
const magic = 0x184d2a50
const contentBytes = 12
const headerBytes = 8 + contentBytes

/** A frame of zstd holds at most 1 MiB: none is much longer than that. */
const maxFrameBytes = 2 << 20

/** Compressed bytes, and where in the file belongs what is in them. */
export interface PlacedFrame {
  readonly offset: number
  readonly frame: Buffer
}

/** As it is in the file: what comes before the frame itself. */
export function headerOf({ offset, frame }: PlacedFrame): Buffer {
  const header = Buffer.alloc(headerBytes)
  header.writeUInt32LE(magic, 0)
  header.writeUInt32LE(contentBytes, 4)
  header.writeBigUInt64LE(BigInt(offset), 8)
  header.writeUInt32LE(frame.length, 16)
  return header
}

/** The frames of such a file, in order; each is the consumer's. @throws Problem COMPRESSION_INVALID for one that is damaged; a system error */
export async function* readFrames(file: FileHandle): AsyncGenerator<PlacedFrame, void, undefined> {
  const { size } = await file.stat()
  let at = 0
  // The header after a frame is read with it.
  let header = await readAt(file, at, Math.min(headerBytes, size))
  while (at < size) {
    const { offset, length } = parseHeader(header)
    at += headerBytes
    const end = at + length
    if (end > size) throw zstdProblem('it is cut short')
    const read = await readAt(file, at, Math.min(length + headerBytes, size - at))
    yield { offset, frame: read.subarray(0, length) }
    header = read.subarray(length)
    at = end
  }
}

function parseHeader(header: Buffer): { offset: number; length: number } {
  if (header.length < headerBytes) throw zstdProblem('it is cut short')
  const [offset, length] = [header.readBigUInt64LE(8), header.readUInt32LE(16)]
  const isOurs = header.readUInt32LE(0) === magic && header.readUInt32LE(4) === contentBytes
  if (!isOurs || offset > Number.MAX_SAFE_INTEGER || length > maxFrameBytes)
    throw zstdProblem('there is no place of a frame where one should be')
  return { offset: Number(offset), length }
}

async function readAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  const { bytesRead } = await file.read(buffer, 0, length, at)
  if (bytesRead < length) throw zstdProblem('it became shorter while it was read')
  return buffer
}
