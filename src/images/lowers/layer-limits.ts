const GiB = 2 ** 30

/**
 * Files of up to so many bytes live in the layer index and the bootstrap instead of on a 4 KiB block of the data blob. Part of what decides
 * the bytes of a lower: a change needs a new writerVersion.
 *
 * @see docs/decisions/0003-inline-threshold.md
 */
export const inlineMaxBytes = 512

/** Whatever its size, a layer may hold so much; beyond that, so many times its compressed size; never more than the last. */
const unquestionedBytes = 16 * GiB
const maxRatio = 200
const maxLayerBytes = 64 * GiB

/** How many bytes a compressed layer may expand to. */
export function maxExpandedBytes(compressedBytes: number): number {
  return Math.min(maxLayerBytes, Math.max(unquestionedBytes, compressedBytes * maxRatio))
}

/** An index holds names and xattrs, which compress as well as zeros do. A distribution's has about 1 MB. */
export const maxIndexBytes = GiB / 4

/** What the tree of an image may take of memory. One of two million entries, the most that are accepted, takes about 1.3 GB. */
export const maxTreeBytes = 2 * GiB
