import { type DataLayout, type Digest, Problem } from '../base/index.ts'
import type { BlobStore } from '../blobs/index.ts'
import type {
  ImageDetail,
  ImageHistoryReply,
  ImageSummary,
  RemoveImageReply,
  VerifyImagesReply,
} from '../contract/index.ts'
import { type Platform, platformOf } from '../formats/index.ts'
import { filesystemOf } from '../host/index.ts'
import { openPins, type Pins } from '../state/index.ts'
import type { Registries } from '../wires/index.ts'
import {
  type BringLazily,
  bringLazily,
  ensureLazySource,
  isHereWhole,
  isKeptAs,
  type LazyImage,
  type LazyRootfs,
} from './boot-only/bring-lazily.ts'
import { type SettledLazy, settleLazyLower } from './boot-only/settle-lazy-lower.ts'
import { type BuildRequest, buildImage } from './build/build-image.ts'
import { type EvictEntry, type Evicted, evict } from './cache/evict.ts'
import { type CacheEntry, listCache } from './cache/list-cache.ts'
import { type CatalogEntry, catalogImages } from './catalog-images.ts'
import { inspectImage, listImages } from './describe-image.ts'
import { ensureImageLower } from './ensure-image-lower.ts'
import { ensureImageRootfs } from './ensure-image-rootfs.ts'
import { type ImageDocument, imageDocument } from './image-document.ts'
import { imageHistory } from './image-history.ts'
import type { ImagesContext, ImageUser } from './images-context.ts'
import { dropLayers, type LayerDrop, planLayerDrops } from './kept/drop-layers.ts'
import { Leases } from './leases.ts'
import { type LoadRequest, loadImages } from './load/load-images.ts'
import type { LongWork } from './long-work.ts'
import { chooseLower, type LowerPolicy, usableKinds, whyLower } from './lowers/choose-lower.ts'
import { ensureLower, type Lower } from './lowers/ensure-lower.ts'
import { type LowerKind, plainWhole } from './lowers/lower-kind.ts'
import { unpackLayer } from './lowers/unpack-layer.ts'
import { type LowersReport, lowersReport } from './lowers-report.ts'
import { pinImage } from './pin-image.ts'
import { type PlanRemovals, planRemovals, type RemovalPlan } from './plan-removal.ts'
import { type PublishedImage, type PublishRequest, publishImage } from './publish/publish-image.ts'
import { type PublishedTraces, type PublishTraces, publishTraces } from './publish/publish-traces.ts'
import { Downloads } from './pull/downloads.ts'
import { dropDownload } from './pull/drop-download.ts'
import { type ObtainedImage, obtainImage } from './pull/obtain-image.ts'
import { type PulledImage, type PullRequest, pullImage } from './pull/pull-image.ts'
import { type PushedImage, type PushRequest, pushImage } from './push/push-image.ts'
import { type RemoveImage, removeImage } from './remove-image.ts'
import { removeUnneeded, type UnneededFile } from './remove-unneeded.ts'
import { type ResolvedImage, resolveImage } from './resolve-image.ts'
import type { RootfsImage } from './rootfs/find-rootfs.ts'
import { archiveImages, type ImageArchive, saveImages } from './save-images.ts'
import { tagImage } from './tag-image.ts'
import { type VerifyRequest, verifyImages } from './verify/verify-images.ts'

export interface ImagesOptions {
  readonly layout: DataLayout
  readonly blobs: BlobStore
  /** Which sheds are pinned to which manifests; throws when a record cannot be read, and then nothing is removed. */
  readonly users: () => Promise<readonly ImageUser[]>
  /** What guests run: this host's platform unless told. */
  readonly platform?: Platform
  /** Without them nothing can be pulled or pushed. */
  readonly registries?: Registries
  /** Which kind of lower to build; plain and whole unless told. */
  readonly lowers?: LowersOptions
  readonly keeper?: ImagesContext['keeper']
  /** Those of the data directory unless they are opened already. */
  readonly pins?: Pins
  readonly unpackLayer?: ImagesContext['unpackLayer']
  readonly ensureLower?: ImagesContext['ensureLower']
}

export interface LowersOptions {
  readonly policy: LowerPolicy
  /** `uname -r` of the kernel that guests boot; undefined while there is none. */
  readonly guestRelease: () => Promise<string | undefined>
}

/** The images of one data directory. References are tags, digests, or the first 6 or more digits of a digest. */
export interface Images {
  /** Brings images from an archive or a layout directory into the store. @see loadImages */
  load(request: LoadRequest): Promise<ImageSummary[]>
  /** Builds an image of a Dockerfile and takes it in. @see buildImage */
  build(request: BuildRequest): Promise<ImageSummary[]>
  /** Brings an image from its registry into the store. @see pullImage */
  pull(request: PullRequest): Promise<PulledImage>
  /** Sends an image to a registry, byte for byte. @see pushImage */
  push(request: PushRequest): Promise<PushedImage>
  /** Reads all that images have on disk and holds it against what it must be. @see verifyImages */
  verify(request: VerifyRequest): Promise<VerifyImagesReply>
  /** Puts an image into a registry with the form that hosts boot from. @see publishImage */
  publish(request: PublishRequest): Promise<PublishedImage>
  /** Publishes what boots have read of an image that is published. @see publishTraces */
  publishTraces(request: PublishTraces): Promise<PublishedTraces>
  /** Writes an OCI archive to a path that must not exist. @returns bytes written @see saveImages */
  saveTo(request: { readonly refs: readonly string[]; readonly path: string } & LongWork): Promise<number>
  /** An OCI archive as a stream; every reference has been found when the promise resolves. @see archiveImages */
  archive(refs: readonly string[], work?: LongWork): Promise<ImageArchive>
  /** How lowers are, which kind is built, and why. @throws Problem HOST_UNSUPPORTED @see lowersReport, chooseLower */
  lowers(): Promise<LowersReport & { readonly kind: LowerKind; readonly why: string }>
  /** Every image; damaged ones say so. */
  list(): Promise<ImageSummary[]>
  /** @throws Problem IMAGE_NOT_FOUND, PLATFORM_NOT_FOUND, RECORD_INVALID */
  inspect(ref: string): Promise<ImageDetail>
  /** How it came to be, the newest step first. @throws Problem as inspect */
  history(ref: string): Promise<ImageHistoryReply>
  /** Its manifest, index or config, byte for byte. @see imageDocument */
  document(ref: string, which: ImageDocument): Promise<Buffer>
  /** Gives an image another tag; whoever had it loses it. @throws Problem IMAGE_NOT_FOUND, INVALID_REQUEST */
  tag(ref: string, tag: string): Promise<void>
  /** Keeps an image from being removed by anything, or lets it go again. @returns whether that is a change @see pinImage */
  pin(ref: string, pinned: boolean): Promise<boolean>
  /** Takes a tag away, and with the last one the image. @throws Problem IMAGE_NOT_FOUND, IMAGE_IN_USE, PINNED, RECORD_INVALID @see removeImage */
  remove(ref: string, options: RemoveImage): Promise<RemoveImageReply>
  /** Removes files of the store that nothing needs. @returns the paths that went @throws Problem RECORD_INVALID @see removeUnneeded */
  removeUnneeded(files: readonly UnneededFile[]): Promise<ReadonlySet<string>>
  /** Whether work in flight needs a blob: what there is of it so far is no waste. */
  isInFlight(digest: Digest): boolean
  /** Removes what a download has left that nobody is at. @returns whether it is gone @see dropDownload */
  dropDownload(digest: Digest): boolean
  /** What removing images would free, one after another. @throws Problem RECORD_INVALID @see planRemovals */
  planRemovals(request: PlanRemovals): Promise<RemovalPlan[]>
  /** Which blobs of layers could go, because their images boot without. @throws Problem RECORD_INVALID @see planLayerDrops */
  planLayerDrops(): Promise<LayerDrop[]>
  /** Removes them. @returns the physical bytes of what went @throws Problem PLAN_CHANGED, RECORD_INVALID @see dropLayers */
  dropLayers(planned: LayerDrop): Promise<number>
  /** What the cache holds or may hold, and what keeps each of it from being evicted. @throws Problem RECORD_INVALID @see listCache */
  cache(): Promise<CacheEntry[]>
  /** Removes from the cache what nobody has open and what can be made again. @throws Problem RECORD_INVALID @see evict */
  evict(entries: readonly EvictEntry[]): Promise<Evicted[]>
  /** What index.json lists, with what each has on disk. Fails for a damaged image unless told to show it. */
  catalog(options?: { readonly onDamage: 'throw' | 'show' }): Promise<CatalogEntry[]>
  /** The image of this host's platform. @throws Problem IMAGE_NOT_FOUND, PLATFORM_NOT_FOUND, RECORD_INVALID */
  resolve(ref: string): Promise<ResolvedImage>
  /** The same, pulled when it is not here. @see obtainImage */
  obtain(ref: string, work?: LongWork): Promise<ObtainedImage>
  /** The same, but of one that is not here no more than it takes to read it in part. @see bringLazily */
  bringLazily(ref: string, how?: BringLazily): Promise<LazyImage>
  /** Makes sure that what is read in part can be. @see ensureLazySource */
  ensureLazySource(lazy: LazyRootfs, work?: LongWork): Promise<void>
  /** Makes of what is read in part, and is whole by now, the lower of its image. @see settleLazyLower */
  settleLazyLower(chunkIndex: Digest, work?: LongWork): Promise<SettledLazy>
  /** Whether all of an image is here by now. @see isHereWhole */
  isHereWhole(manifest: Digest, lazy: LazyRootfs): Promise<boolean>
  /** Whether the very lower of a chunk index is whole, and what sheds of the image read. @see isKeptAs */
  isKeptAs(manifest: Digest, chunkIndex: Digest): Promise<boolean>
  /** Keeps a resolved image from being removed until disposed of. @throws Problem IMAGE_NOT_FOUND when it is being removed */
  hold(manifest: Digest): Disposable
  /** Makes sure that the lower of a manifest is there. Hold the image meanwhile. @see ensureLower */
  ensureLower(manifest: Digest, work?: LongWork): Promise<Lower>
  /** Makes sure that the root filesystem of a manifest is there, to be cloned. Hold the image until that is done. @see ensureRootfs */
  ensureRootfs(manifest: Digest, work?: LongWork): Promise<RootfsImage>
}

export function openImages(options: ImagesOptions): Images {
  const lowerKinds = () => kindsFor(options)
  const context: ImagesContext = {
    layout: options.layout,
    blobs: options.blobs,
    users: options.users,
    leases: new Leases(),
    registries: options.registries ?? noRegistries,
    downloads: new Downloads(options.layout),
    pins: options.pins ?? openPins(options.layout),
    platform: options.platform ?? platformOf(process.arch),
    lowerKinds,
    keeper: options.keeper,
    unpackLayer: async (layer) =>
      (options.unpackLayer ?? unpackLayer)({ ...layer, profile: (await lowerKinds())[0]?.profile }),
    ensureLower: options.ensureLower ?? ensureLower,
  }
  return {
    load: (request) => loadImages(context, request),
    build: (request) => buildImage(context, request),
    pull: (request) => pullImage(context, request),
    push: (request) => pushImage(context, request),
    verify: (request) => verifyImages(context, request),
    publish: (request) => publishImage(context, request),
    publishTraces: (request) => publishTraces(context, request),
    saveTo: (request) => saveImages(context, request),
    archive: (refs, work = {}) => archiveImages(context, { refs, ...work }),
    lowers: async () => {
      const [kind = plainWhole] = await lowerKinds()
      return { ...(await lowersReport(context)), kind, why: await whyKind(options) }
    },
    list: () => listImages(context),
    inspect: (ref) => inspectImage(context, ref),
    history: (ref) => imageHistory(context, ref),
    document: (ref, which) => imageDocument(context, ref, which),
    tag: (ref, tag) => tagImage(context, ref, tag),
    pin: (ref, pinned) => pinImage(context, ref, pinned),
    remove: (ref, how) => removeImage(context, ref, how),
    removeUnneeded: (files) => removeUnneeded(context, files),
    isInFlight: (digest) => context.leases.isLeased(digest),
    dropDownload: (digest) => dropDownload(context, digest),
    planRemovals: (request) => planRemovals(context, request),
    planLayerDrops: () => planLayerDrops(context),
    dropLayers: (planned) => dropLayers(context, planned),
    cache: () => listCache(context),
    evict: (entries) => evict(context, entries),
    catalog: (how = { onDamage: 'throw' }) => catalogImages(context, how),
    resolve: (ref) => resolveImage(context, ref),
    obtain: (ref, work = {}) => obtainImage(context, ref, work),
    bringLazily: (ref, how = {}) => bringLazily(context, ref, how),
    ensureLazySource: (lazy, work = {}) => ensureLazySource(context, lazy, work),
    settleLazyLower: (chunkIndex, work = {}) => settleLazyLower(context, chunkIndex, work),
    isHereWhole: (manifest, lazy) => isHereWhole(context, manifest, lazy),
    isKeptAs: (manifest, chunkIndex) => isKeptAs(context, manifest, chunkIndex),
    hold: (manifest) => context.leases.holdImage(manifest),
    ensureLower: (manifest, work = {}) => ensureImageLower(context, manifest, work),
    ensureRootfs: (manifest, work = {}) => ensureImageRootfs(context, manifest, work),
  }
}

const noRegistries: Registries = {
  repository: () => {
    throw new Problem('INTERNAL', 'the images were opened without registries')
  },
  close: async () => {},
}

/** Asked anew each time: a kernel is installed while the daemon runs. */
async function kindsFor({ layout, lowers }: ImagesOptions): Promise<readonly LowerKind[]> {
  if (lowers === undefined) return [plainWhole]
  const [{ reflink }, guestRelease] = await Promise.all([filesystemOf(layout.root), lowers.guestRelease()])
  return usableKinds(chooseLower(lowers.policy, { reflink, guestRelease }), guestRelease)
}

async function whyKind({ layout, lowers }: ImagesOptions): Promise<string> {
  if (lowers === undefined) return 'nothing else was asked for'
  const [{ reflink }, guestRelease] = await Promise.all([filesystemOf(layout.root), lowers.guestRelease()])
  return whyLower(lowers.policy, { reflink, guestRelease })
}
