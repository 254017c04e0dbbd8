import type { DataLayout, Digest } from '../../base/index.ts'
import type { Platform } from '../../formats/index.ts'
import type { LazyLower, LazySource, OutageListener, OutagePolicy } from '../../lazy/index.ts'
import type { Registries } from '../../wires/index.ts'

/** How a lower that is not here is to be opened. */
export interface AttachLazy {
  readonly layout: DataLayout
  readonly registries: Registries
  readonly reference: string
  readonly platform: Platform
  readonly insecure: boolean
  /** Which boot trace is fetched ahead by, and recorded when there is none; that of any boot unless told. */
  readonly trace?: string | undefined
  readonly policy: OutagePolicy
  readonly listener: OutageListener
  readonly onNotice: (message: string) => void
  readonly signal: AbortSignal
}

export interface AttachedLazy extends AsyncDisposable {
  readonly lower: LazyLower
  readonly source: LazySource
  readonly chunkIndex: Digest
  /** Resolved when all of it is here, durable, and noted to be: from then on the daemon may make it the lower of its image. */
  readonly whole: Promise<void>
  /** Nothing of it can be verified before all of it is here: it must be filled, and `whole` may be rejected with DIGEST_MISMATCH. */
  readonly isUnverified: boolean
}
