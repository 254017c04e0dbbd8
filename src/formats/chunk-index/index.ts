/**
 * formats/chunk-index: where the bytes of a published lower are, and what they must be.
 *
 * Belongs here: the chunk index (docs/published-images.md), how a data blob is cut into chunks, the finding of chunks by place, leaves.
 * Promises: deterministic bytes; hostile bytes give a value or a Problem, in memory bounded by their number; an index that was decoded is
 * consistent in itself.
 * Never: decompresses, knows what a registry is.
 */
export {
  type ChunkIndex,
  chunkIndexLimits,
  leafBytes,
  leafCount,
  leafHashBytes,
  maxChunkBytes,
  type StoredPart,
} from './chunk-index.ts'
export { type ChunkMap, chunkMap, type LocatedChunk } from './chunk-map.ts'
export { decodeChunkIndex } from './decode-chunk-index.ts'
export { encodeChunkIndex } from './encode-chunk-index.ts'
export { fileChunks } from './file-chunks.ts'
export { LeafHasher } from './leaf-hasher.ts'
export { decodeStoredPart, encodeStoredPart } from './stored-part.ts'
