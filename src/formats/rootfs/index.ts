/**
 * formats/rootfs: the documents of a published image (docs/published-images.md).
 *
 * Belongs here: the rootfs manifest, and the index that binds it to the image it was made from.
 * Promises: the same values give the same bytes; what was parsed is consistent in itself.
 * Never: looks into the blobs that it names.
 */
export { plainErofs } from './plain-erofs.ts'
export {
  encodePublishedIndex,
  inlineManifest,
  type OtherPlatform,
  type PublishedImage,
  type RootfsDocument,
  replaceRootfs,
  rootfsMembers,
} from './published-index.ts'
export {
  emptyConfig,
  encodeRootfsManifest,
  isRootfsManifest,
  type PublishedTrace,
  parseRootfsManifest,
  type RootfsManifest,
  type RootfsPart,
  rootfsTypes,
} from './rootfs-manifest.ts'
