import type { Digest } from '../../base/index.ts'
import type { ImagesContext } from '../images-context.ts'
import type { BlobLease } from '../leases.ts'

export type IsPresent = (digest: Digest, size: number) => Promise<boolean>

/**
 * Tells whether the store has a blob whole. It is leased before it is looked at, so that it stays; and it is hashed, once: a damaged blob in
 * the store is replaced by the next load that brings it.
 */
export function presenceChecker(
  { blobs, leases }: Pick<ImagesContext, 'blobs' | 'leases'>,
  lease: BlobLease,
): IsPresent {
  const answers = new Map<Digest, { size: number; isThere: Promise<boolean> }>()
  const look = async (digest: Digest, size: number): Promise<boolean> => {
    lease.add(digest)
    await leases.settled()
    return await blobs.isIntact(digest, size)
  }
  return async (digest, size) => {
    const known = answers.get(digest)
    if (known !== undefined && known.size === size) return await known.isThere
    const isThere = look(digest, size)
    answers.set(digest, { size, isThere })
    return await isThere
  }
}
