import { crc32c } from '../erofs/crc32c.ts'
import { extentTailOffset } from './extent-tree.ts'

/**
 * The checksums of one filesystem (metadata_csum), each begun from its uuid.
 *
 * @see https://docs.kernel.org/filesystems/ext4/overview.html#checksums
 */
export class Checksums {
  readonly #seed: number

  constructor(uuid: Buffer) {
    this.#seed = crc32c(uuid)
  }

  /** Sets it in a group descriptor of 64 bytes. */
  sealDescriptor(descriptor: Buffer, group: number): void {
    descriptor.writeUInt16LE(this.ofDescriptor(descriptor, group), 0x1e)
  }

  ofDescriptor(descriptor: Buffer, group: number): number {
    const unsealed = Buffer.from(descriptor)
    unsealed.writeUInt16LE(0, 0x1e)
    return crc32c(unsealed, crc32c(word(group), this.#seed)) & 0xffff
  }

  ofBitmap(bits: Buffer): number {
    return crc32c(bits, this.#seed)
  }

  /** Sets it in an inode of 256 bytes whose generation is 0. */
  sealInode(inode: Buffer, ino: number): void {
    const checksum = crc32c(inode, this.#inodeSeed(ino))
    inode.writeUInt16LE(checksum & 0xffff, 0x7c)
    inode.writeUInt16LE(checksum >>> 16, 0x82)
  }

  sealDirectoryBlock(block: Buffer, ino: number): void {
    const end = block.length - 4
    // What looks like an entry of 12 bytes is not covered.
    block.writeUInt32LE(crc32c(block.subarray(0, block.length - 12), this.#inodeSeed(ino)), end)
  }

  sealExtentBlock(block: Buffer, ino: number): void {
    block.writeUInt32LE(crc32c(block.subarray(0, extentTailOffset), this.#inodeSeed(ino)), extentTailOffset)
  }

  /** @param at the block's number */
  sealXattrBlock(block: Buffer, at: number): void {
    const place = Buffer.alloc(8)
    place.writeUInt32LE(at, 0)
    block.writeUInt32LE(crc32c(block, crc32c(place, this.#seed)), 16)
  }

  #inodeSeed(ino: number): number {
    const generation = 0
    return crc32c(word(generation), crc32c(word(ino), this.#seed))
  }
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
