import { z } from 'zod'
import { isDigest, lowerProfiles, type Problem } from '../base/index.ts'
import { defaultLazyReading, type LazyProgress, LazyReading } from '../contract/index.ts'
import type { LazyRootfs } from '../images/index.ts'
import type { LongWork } from './sheds.ts'

/** What the record of a shed says of a lower that is not all here. */
export const RecordedLazy = z.object({
  /** The index that its image was published with, by its digest. */
  reference: z.string(),
  chunk_index_digest: z.string().refine(isDigest),
  profile: z.enum(lowerProfiles),
  /** Of a boot trace, when one was asked for. */
  trace: z.string().optional(),
  /** It has no chunk index: the digest is that of all of it. */
  plain: z.literal(true).optional(),
  /** The same, and it was not verified yet: what its guest has read may be anything. */
  unverified: z.literal(true).optional(),
  /** As the defaults were when it was not said yet. */
  fill: LazyReading.shape.fill.default(defaultLazyReading.fill),
  fail_after_ms: LazyReading.shape.fail_after_ms.default(defaultLazyReading.fail_after_ms),
})
export type RecordedLazy = z.infer<typeof RecordedLazy>

/** A lower that a shed reads in part, and how it does. */
export interface LazyAttachment extends LazyRootfs {
  readonly reading: LazyReading
}

/** Has lowers served that are fetched as they are read. Whoever serves them outlives this daemon, as VMs do. */
export interface LazyLowers {
  /**
   * Has a lower served until its shed lets go of it: whoever serves it and ends is followed by another.
   *
   * @returns the path of the unix socket where NBD is spoken
   * @throws Problem when it cannot be served now: the registry does not answer and its bootstrap is not here, say
   */
  serve(shed: string, lower: LazyAttachment, work: LongWork): Promise<string>
  /** The same for a VM that is there already: as soon as it can be, and nobody waits for it. */
  follow(shed: string, lower: LazyAttachment): void
  /** How far it is: the same value for as long as it is the same. Undefined while no shed has a VM that reads it. */
  progress(lower: LazyAttachment): LazyProgress | undefined
  /** Why nobody may read it any more: it was found to be wrong. Undefined while that is not known. */
  wrong(lower: LazyAttachment): Promise<Problem | undefined>
  /** It has no VM any more. */
  release(shed: string): void
}

export function attachmentOf(recorded: RecordedLazy): LazyAttachment {
  const { reference, chunk_index_digest: chunkIndex, profile, trace, plain, fill, fail_after_ms } = recorded
  return { reference, chunkIndex, profile, trace, plain, reading: { fill, fail_after_ms } }
}

export function recordLazy(lower: LazyRootfs, reading: LazyReading): RecordedLazy {
  const { reference, chunkIndex, profile, trace, plain } = lower
  const named = { reference, chunk_index_digest: chunkIndex, profile, ...(trace !== undefined && { trace }) }
  return { ...named, ...(plain === true && { plain, unverified: true }), ...reading }
}
