import { z } from 'zod'
import { isDigest, lowerProfiles } from '../base/index.ts'
import type { LazyProgress } from '../contract/index.ts'
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
})
export type RecordedLazy = z.infer<typeof RecordedLazy>

/** Has lowers served that are fetched as they are read. Whoever serves them outlives this daemon, as VMs do. */
export interface LazyLowers {
  /**
   * Has a lower served until its shed lets go of it: whoever serves it and ends is followed by another.
   *
   * @returns the path of the unix socket where NBD is spoken
   * @throws Problem when it cannot be served now: the registry does not answer and its bootstrap is not here, say
   */
  serve(shed: string, lower: LazyRootfs, work: LongWork): Promise<string>
  /** The same for a VM that is there already: as soon as it can be, and nobody waits for it. */
  follow(shed: string, lower: LazyRootfs): void
  /** How far it is: the same value for as long as it is the same. Undefined while no shed has a VM that reads it. */
  progress(lower: LazyRootfs): LazyProgress | undefined
  /** It has no VM any more. */
  release(shed: string): void
}

export function lazyRootfsOf({ reference, chunk_index_digest: chunkIndex, profile, trace }: RecordedLazy): LazyRootfs {
  return { reference, chunkIndex, profile, trace }
}

export function recordLazy({ reference, chunkIndex, profile, trace }: LazyRootfs): RecordedLazy {
  return { reference, chunk_index_digest: chunkIndex, profile, ...(trace !== undefined && { trace }) }
}
