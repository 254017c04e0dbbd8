/**
 * A zstd frame that holds bytes as they are, in raw blocks: what a decoder must take, without a compressor.
 *
 * @see RFC 8878, sections 3.1.1 and 3.1.1.2
 */
export function storeAsZstd(bytes: Buffer): Buffer {
  // Single_Segment_Flag with an 8-byte Frame_Content_Size: no window descriptor, no checksum.
  const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000, 0, 0, 0, 0, 0, 0, 0, 0])
  header.writeBigUInt64LE(BigInt(bytes.length), 5)
  const blocks: Buffer[] = [header]
  for (let at = 0; at === 0 || at < bytes.length; at += maxBlock) {
    const content = bytes.subarray(at, at + maxBlock)
    const last = at + maxBlock >= bytes.length ? 1 : 0
    const blockHeader = Buffer.alloc(3)
    // Last_Block in bit 0, Block_Type 0 (raw) in bits 1 and 2, Block_Size above.
    blockHeader.writeUIntLE((content.length << 3) | last, 0, 3)
    blocks.push(blockHeader, content)
  }
  return Buffer.concat(blocks)
}

const maxBlock = 128 * 1024
