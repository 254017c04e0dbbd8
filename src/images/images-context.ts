import type { DataLayout } from '../base/index.ts'
import type { BlobStore } from '../blobs/index.ts'
import type { Platform } from '../formats/index.ts'
import type { Pins } from '../state/index.ts'
import type { Registries } from '../wires/index.ts'
import type { CacheKeeper } from './cache/cache-keeper.ts'
import type { Leases } from './leases.ts'
import type { ensureLower } from './lowers/ensure-lower.ts'
import type { LowerKind } from './lowers/lower-kind.ts'
import type { unpackLayer } from './lowers/unpack-layer.ts'
import type { Downloads } from './pull/downloads.ts'

/** A shed or a snapshot that is pinned to an image. */
export interface ImageUser {
  /** A shed's; of a snapshot `snapshot NAME`, which no shed can be called. */
  readonly name: string
  readonly manifestDigest: string
  /** It has what its image is served from open, or may have in a moment. */
  readonly isRunning: boolean
  /** It reads its image in part: somebody must be able to begin to serve it, whatever becomes of who does. */
  readonly isLazy?: boolean | undefined
}

/** What every verb of this room works on. */
export interface ImagesContext {
  readonly layout: DataLayout
  readonly blobs: BlobStore
  readonly leases: Leases
  readonly registries: Registries
  readonly downloads: Downloads
  readonly pins: Pins
  /** Which sheds are pinned to which manifests. Throws when a record cannot be read: what cannot be known must not be deleted. */
  readonly users: () => Promise<readonly ImageUser[]>
  /** What this host's guests run. */
  readonly platform: Platform
  /** The kinds of lower that this host's guests can use, the one to build first; never empty. */
  readonly lowerKinds: () => Promise<readonly LowerKind[]>
  /** Without one the cache may take all there is. */
  readonly keeper?: CacheKeeper | undefined
  readonly unpackLayer: typeof unpackLayer
  readonly ensureLower: typeof ensureLower
}
