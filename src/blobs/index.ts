/**
 * blobs: bytes by digest.
 *
 * Belongs here: the OCI image layout at the root of the data directory: oci-layout, blobs/<algorithm>/<hex>, index.json.
 * Promises: at every moment the layout is valid for skopeo, umoci and crane reading it in place; a blob is there whole or not at all; what
 * others wrote into index.json stays.
 * Never: knows what an image is, or which blobs are still needed.
 */
export { type BlobStore, type BlobSummary, openBlobStore } from './open-blob-store.ts'
export { type OpenPartialBlob, openPartialBlob, type PartialBlob } from './open-partial-blob.ts'
export { readStaged } from './read-staged.ts'
export { type StageBlob, type StagedBlob, stageBlob } from './stage-blob.ts'
export { refNameAnnotation, type StoreIndex, type StoreIndexEntry, storeIndexEntry } from './store-index.ts'
