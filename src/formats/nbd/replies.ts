import { nbdChunkDone, nbdChunks, nbdClientFlags, nbdInfo, nbdMagic } from './protocol.ts'

/** The first that a server says. */
export function encodeGreeting(): Buffer {
  const bytes = Buffer.alloc(18)
  bytes.writeBigUInt64BE(nbdMagic.greeting, 0)
  bytes.writeBigUInt64BE(nbdMagic.option, 8)
  bytes.writeUInt16BE(nbdClientFlags.fixedNewstyle | nbdClientFlags.noZeroes, 16)
  return bytes
}

export function encodeOptionReply(option: number, type: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(20)
  header.writeBigUInt64BE(nbdMagic.optionReply, 0)
  header.writeUInt32BE(option, 8)
  header.writeUInt32BE(type, 12)
  header.writeUInt32BE(data.length, 16)
  return Buffer.concat([header, data])
}

/** The answer to EXPORT_NAME, which has no other form. */
export function encodeOldExport(size: number, flags: number, noZeroes: boolean): Buffer {
  const bytes = Buffer.alloc(noZeroes ? 10 : 134)
  bytes.writeBigUInt64BE(BigInt(size), 0)
  bytes.writeUInt16BE(flags, 8)
  return bytes
}

export function encodeExportInfo(size: number, flags: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt16BE(nbdInfo.export, 0)
  bytes.writeBigUInt64BE(BigInt(size), 2)
  bytes.writeUInt16BE(flags, 10)
  return bytes
}

export interface BlockSizes {
  readonly minimum: number
  readonly preferred: number
  readonly maximum: number
}

export function encodeBlockSizes({ minimum, preferred, maximum }: BlockSizes): Buffer {
  const bytes = Buffer.alloc(14)
  bytes.writeUInt16BE(nbdInfo.blockSize, 0)
  for (const [at, size] of [minimum, preferred, maximum].entries()) bytes.writeUInt32BE(size, 2 + at * 4)
  return bytes
}

/** One name of LIST. */
export function encodeServerName(name: string): Buffer {
  const text = Buffer.from(name)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(text.length)
  return Buffer.concat([length, text])
}

export function encodeMetaContext(id: number, name: string): Buffer {
  const number = Buffer.alloc(4)
  number.writeUInt32BE(id)
  return Buffer.concat([number, Buffer.from(name)])
}

export function encodeSimpleReply(cookie: bigint, error: number): Buffer {
  const bytes = Buffer.allocUnsafe(nbdHeaderBytes.simple)
  writeSimpleReply(bytes, cookie, error)
  return bytes
}

/** @param bytes whose first ones it becomes */
export function writeSimpleReply(bytes: Buffer, cookie: bigint, error: number): void {
  bytes.writeUInt32BE(nbdMagic.simpleReply, 0)
  bytes.writeUInt32BE(error, 4)
  bytes.writeBigUInt64BE(cookie, 8)
}

interface ChunkHeader {
  readonly type: number
  readonly cookie: bigint
  /** Of what follows the header. */
  readonly length: number
}

const chunkHeaderBytes = 20

/** Of what stands before the bytes of a read, in a simple reply and in a structured one. */
export const nbdHeaderBytes = { simple: 16, data: chunkHeaderBytes + 8 } as const

function writeChunkHeader(bytes: Buffer, { type, cookie, length }: ChunkHeader): void {
  bytes.writeUInt32BE(nbdMagic.structuredReply, 0)
  bytes.writeUInt16BE(nbdChunkDone, 4)
  bytes.writeUInt16BE(type, 6)
  bytes.writeBigUInt64BE(cookie, 8)
  bytes.writeUInt32BE(length, 16)
}

/** What stands before the bytes of a read, which are the whole reply. */
export function encodeDataHeader(cookie: bigint, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(nbdHeaderBytes.data)
  writeDataHeader(bytes, { cookie, offset, length })
  return bytes
}

/** @param bytes whose first ones it becomes */
export function writeDataHeader(
  bytes: Buffer,
  { cookie, offset, length }: { readonly cookie: bigint; readonly offset: number; readonly length: number },
): void {
  writeChunkHeader(bytes, { type: nbdChunks.offsetData, cookie, length: 8 + length })
  bytes.writeUInt32BE(Math.floor(offset / 2 ** 32), chunkHeaderBytes)
  bytes.writeUInt32BE(offset % 2 ** 32, chunkHeaderBytes + 4)
}

/** That it was done, without data. */
export function encodeNoneChunk(cookie: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(chunkHeaderBytes)
  writeChunkHeader(bytes, { type: nbdChunks.none, cookie, length: 0 })
  return bytes
}

const maxMessageBytes = 1024

/** @param message for people; what is beyond 1 KiB of it is cut off */
export function encodeStructuredError(cookie: bigint, error: number, message: string): Buffer {
  const text = Buffer.from(message).subarray(0, maxMessageBytes)
  const bytes = Buffer.alloc(chunkHeaderBytes + 6)
  writeChunkHeader(bytes, { type: nbdChunks.error, cookie, length: 6 + text.length })
  bytes.writeUInt32BE(error, chunkHeaderBytes)
  bytes.writeUInt16BE(text.length, chunkHeaderBytes + 4)
  return Buffer.concat([bytes, text])
}

export interface BlockStatus {
  readonly cookie: bigint
  readonly context: number
  readonly extents: readonly { readonly length: number; readonly flags: number }[]
}

export function encodeBlockStatus({ cookie, context, extents }: BlockStatus): Buffer {
  const length = 4 + extents.length * 8
  const bytes = Buffer.alloc(chunkHeaderBytes + length)
  writeChunkHeader(bytes, { type: nbdChunks.blockStatus, cookie, length })
  bytes.writeUInt32BE(context, chunkHeaderBytes)
  for (const [at, extent] of extents.entries()) {
    bytes.writeUInt32BE(extent.length, chunkHeaderBytes + 4 + at * 8)
    bytes.writeUInt32BE(extent.flags, chunkHeaderBytes + 8 + at * 8)
  }
  return bytes
}
