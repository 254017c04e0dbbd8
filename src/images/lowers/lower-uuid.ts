import { createHash } from 'node:crypto'
import { type Digest, writerVersion } from '../../base/index.ts'
import type { LowerKind } from './lower-kind.ts'

/**
 * The uuid of a lower: made from what its bytes follow from, so that it is the same wherever it is built.
 *
 * @param writer the version of the writer that made it; this one's unless told
 * @returns 16 bytes, version 8 (RFC 9562 section 5.8)
 */
export function lowerUuid({ profile, form }: LowerKind, manifest: Digest, writer: number = writerVersion): Buffer {
  const uuid = createHash('sha256')
    .update(`cowshed erofs-v${writer} ${profile} ${manifest}${form === 'parts' ? ' parts' : ''}`)
    .digest()
    .subarray(0, 16)
  uuid.writeUInt8((uuid.readUInt8(6) & 0x0f) | 0x80, 6)
  uuid.writeUInt8((uuid.readUInt8(8) & 0x3f) | 0x80, 8)
  return uuid
}
