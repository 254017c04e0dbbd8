/**
 * formats/oci: the documents of OCI and Docker images.
 *
 * Belongs here: descriptors, manifests, indexes, image configs, references, platforms; the refusal of documents that two readers could
 * understand in two ways.
 * Promises: any bytes become a value or a Problem, in bounded memory; OCI and Docker schema 2 are equals.
 * Never: verifies digests (blobs does, before it comes here), writes a document again from its value.
 */
export { checkDocument } from './check-document.ts'
export { type Annotations, Descriptor, Platform, parseDescriptor } from './descriptor.ts'
export { documentLimits, type JsonObject, parseJson, parseJsonObject, parseWith } from './json-document.ts'
export { type HistoryStep, type LayerHistory, layerHistory } from './layer-history.ts'
export {
  documentKind,
  isImageConfig,
  isSchema1,
  type LayerCompression,
  layerCompression,
  mediaTypes,
} from './media-types.ts'
export { checkLayerCount, type HistoryEntry, type ImageConfig, parseImageConfig } from './parse-image-config.ts'
export { type ImageIndex, parseIndex } from './parse-index.ts'
export { checkImageManifest, type Manifest, maxLayers, parseManifest } from './parse-manifest.ts'
export { formatReference, isRepositoryPath, isTag, parseReference, type Reference } from './parse-reference.ts'
export {
  formatPlatform,
  isAttestation,
  isSamePlatform,
  parsePlatform,
  platformNotFound,
  platformOf,
  runsOn,
  selectPlatform,
} from './select-platform.ts'
