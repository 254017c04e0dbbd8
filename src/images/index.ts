/**
 * images: from references to lowers.
 *
 * Belongs here: tags, pull, push, load, save, build, inspect, removal by reachability; unpacking layers, flattening them, building lowers.
 * Promises: nothing is visible before all of it is verified; whatever the store refers to, it has; what a tag, a shed or work in flight needs
 * is never removed, and when that cannot be known, nothing is.
 * Never: writes anything that an image holds as a file of the host (a builder does, below staging), mounts an image; speaks HTTP itself.
 */
export type { BringLazily, LazyImage, LazyRootfs } from './boot-only/bring-lazily.ts'
export { findKeptAs } from './boot-only/find-kept-as.ts'
export { findPlainLower, type PlainLower } from './boot-only/find-plain-lower.ts'
export {
  type FindPublishedRootfs,
  type FoundManifest,
  type FoundRootfs,
  findPublishedRootfs,
} from './boot-only/find-published-rootfs.ts'
export { readKeptChunks } from './boot-only/kept-chunks.ts'
export { type NotedSource, noteFound, noteFoundPlain } from './boot-only/lazy-source.ts'
export { type OpenedParts, openLocalParts } from './boot-only/open-local-parts.ts'
export type { PublishedRootfs } from './boot-only/read-published-rootfs.ts'
export type { SettledLazy } from './boot-only/settle-lazy-lower.ts'
export type { BuildRequest } from './build/build-image.ts'
export type { CacheGrowth, CacheKeeper } from './cache/cache-keeper.ts'
export { type DerivedFile, derivedFileAt, derivedFiles } from './cache/derived-files.ts'
export type { EvictEntry, Evicted } from './cache/evict.ts'
export type { CacheEntry } from './cache/list-cache.ts'
export type { CatalogEntry } from './catalog-images.ts'
export type { ImageUser } from './images-context.ts'
export type { LayerDrop } from './kept/drop-layers.ts'
export { keptFileAt, keptFiles } from './kept/kept-files.ts'
export type { LoadRequest } from './load/load-images.ts'
export type { Lower } from './lowers/ensure-lower.ts'
export { type Images, type ImagesOptions, openImages } from './open-images.ts'
export type { PlanRemovals, RemovalFile, RemovalPlan } from './plan-removal.ts'
export type { ObtainedImage } from './pull/obtain-image.ts'
export type { PulledImage, PullRequest } from './pull/pull-image.ts'
export type { PushedImage, PushRequest } from './push/push-image.ts'
export type { UnneededFile } from './remove-unneeded.ts'
export type { ResolvedImage } from './resolve-image.ts'
export type { RootfsImage } from './rootfs/find-rootfs.ts'
