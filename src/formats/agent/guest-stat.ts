import { type ByteReader, ByteWriter } from './bytes.ts'

/** What a guest says of a file. */
export interface GuestStat {
  /** With the type bits of stat(2). */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes. */
  readonly size: number
  /** Nanoseconds since 1970; may be negative. */
  readonly mtimeNs: bigint
}

export function decodeStat(reader: ByteReader): GuestStat {
  return {
    mode: reader.u32(),
    uid: reader.u32(),
    gid: reader.u32(),
    size: reader.size(),
    mtimeNs: BigInt.asIntN(64, reader.u64()),
  }
}

export function encodeStat({ mode, uid, gid, size, mtimeNs }: GuestStat): Buffer {
  return new ByteWriter().u32(mode).u32(uid).u32(gid).u64(size).u64(BigInt.asUintN(64, mtimeNs)).finish()
}
