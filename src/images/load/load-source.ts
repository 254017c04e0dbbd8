import type { StagedBlob } from '../../blobs/index.ts'
import type { Descriptor } from '../../formats/index.ts'

/** One image that a source offers. */
export interface LoadRoot {
  readonly descriptor: Descriptor
  /** What the source calls it: references in full, or bare tags where the source has only those. */
  readonly names: readonly string[]
}

/** Where images are loaded from: an archive that has been taken apart, or a directory. */
export interface LoadSource {
  readonly roots: readonly LoadRoot[]
  /**
   * The blob of a descriptor, verified and in staging; undefined when the source does not have it.
   *
   * @throws Problem SIZE_MISMATCH, DIGEST_MISMATCH, NO_SPACE, CANCELLED
   */
  take(descriptor: Descriptor): Promise<StagedBlob | undefined>
}
