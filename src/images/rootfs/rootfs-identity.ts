import { createHash } from 'node:crypto'
import { type Digest, ext4WriterVersion, writerVersion } from '../../base/index.ts'

/**
 * The uuid of a root filesystem's image and the seed of its directory hashes: made from what its bytes follow from, so that they are the same
 * wherever it is built.
 *
 * @returns 16 bytes each, version 8 (RFC 9562 section 5.8)
 */
export function rootfsIdentity(manifest: Digest): { readonly uuid: Buffer; readonly hashSeed: Buffer } {
  return { uuid: uuidOf(`uuid ${manifest}`), hashSeed: uuidOf(`hash seed ${manifest}`) }
}

function uuidOf(what: string): Buffer {
  const uuid = createHash('sha256')
    .update(`cowshed ext4-v${ext4WriterVersion} of erofs-v${writerVersion} ${what}`)
    .digest()
    .subarray(0, 16)
  uuid.writeUInt8((uuid.readUInt8(6) & 0x0f) | 0x80, 6)
  uuid.writeUInt8((uuid.readUInt8(8) & 0x3f) | 0x80, 8)
  return uuid
}
