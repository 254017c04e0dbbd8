/**
 * formats/layer: the cached metadata of one layer, derived from its tar and from nothing else.
 *
 * Promises: deterministic bytes; decoding believes nothing before the checksum was compared and never reads out of bounds.
 * Never: decides what a whiteout or a hard link means: that is flattening, in images.
 */
export { decodeLayerIndex } from './decode-layer-index.ts'
export type { LayerContent, LayerEntry, LayerEntryAttributes, LayerIndex, LayerSummary } from './layer-entry.ts'
export { encodeLayerIndex, LayerIndexEncoder } from './layer-index-encoder.ts'
export { decodeLayerMap, encodeLayerMap, type LayerMap, type MappedContent } from './layer-map.ts'
