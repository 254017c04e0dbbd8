/**
 * formats/lz4: single LZ4 blocks, without a frame around them.
 *
 * Promises: same bytes and limits in, same block out, on every host; every block is one that the reference decoder and Linux take.
 * Never: reads or writes out of bounds, whatever a block says.
 *
 * @see https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
 */
export { decompressLz4 } from './decompress-lz4.ts'
export { type Compressed, Lz4Compressor } from './lz4-compressor.ts'
