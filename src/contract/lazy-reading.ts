import { z } from 'zod'
import { smallestRate } from './limits.ts'

/** In milliseconds: a registry that is only slow must not be taken for one that is away. */
export const shortestFailAfterMs = 1_000

/** How a lower that is not all here is read. */
export const LazyReading = z.strictObject({
  /** Whether the rest is fetched behind what is read: as fast as it goes, or at most so many bytes of it a second. */
  fill: z.union([z.boolean(), z.int().min(smallestRate)]),
  /** A read fails when nothing has come from the registry for so long; `never`: it waits for as long as it takes. */
  fail_after_ms: z.union([z.int().min(shortestFailAfterMs), z.literal('never')]),
})
export type LazyReading = z.infer<typeof LazyReading>

export const defaultLazyReading: LazyReading = { fill: false, fail_after_ms: 60_000 }
