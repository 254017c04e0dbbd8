import { ByteReader } from './bytes.ts'
import { decodeStat, type GuestStat } from './guest-stat.ts'

const pathMax = 4096

/** The payload of EXEC's STARTED. */
export function decodePid(payload: Buffer): number {
  return whole(payload, 'STARTED', (reader) => reader.u32())
}

/** The payload of STAT's OK. */
export function decodeStatReply(payload: Buffer): GuestStat {
  return whole(payload, 'reply to STAT', decodeStat)
}

/** The payload of READLINK's OK: bytes, which need not be UTF-8. */
export function decodeLinkTarget(payload: Buffer): Buffer {
  return whole(payload, 'link target', (reader) => Buffer.from(reader.bytes(pathMax)))
}

/** The payload of TRIM's OK. */
export function decodeTrimmedBytes(payload: Buffer): number {
  return whole(payload, 'reply to TRIM', (reader) => reader.size())
}

/** Reads a payload that must be nothing but what `read` reads. @throws Problem AGENT_PROTOCOL */
export function whole<T>(payload: Buffer, what: string, read: (reader: ByteReader) => T): T {
  const reader = new ByteReader(payload, what)
  const value = read(reader)
  reader.end()
  return value
}
