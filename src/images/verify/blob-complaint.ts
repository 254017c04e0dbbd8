import { DigestHasher, digestAlgorithm, isProblem, Problem } from '../../base/index.ts'
import type { BlobStore } from '../../blobs/index.ts'
import type { Descriptor } from '../../formats/index.ts'

export interface Watch {
  /** Hears how many bytes more were read. */
  readonly onBytes: (bytes: number) => void
  readonly signal?: AbortSignal | undefined
}

export const missing = 'it is missing'

/**
 * Reads a blob of the store to its end.
 *
 * @returns what is wrong with it; undefined when it is what its descriptor says
 * @throws Problem CANCELLED
 */
export async function blobComplaint(
  store: BlobStore,
  { digest, size }: Descriptor,
  { onBytes, signal }: Watch,
): Promise<string | undefined> {
  try {
    const found = await store.size(digest)
    if (found === undefined) return missing
    if (found !== size) return `it has ${found} bytes; its descriptor says ${size}`
    const hasher = new DigestHasher(digestAlgorithm(digest))
    for await (const chunk of store.read(digest)) {
      if (signal?.aborted) throw new Problem('CANCELLED', 'cancelled', { cause: signal.reason })
      hasher.update(chunk)
      onBytes(chunk.length)
    }
    return hasher.digest() === digest ? undefined : 'its content is not what its digest says'
  } catch (error) {
    // What the disk cannot give back is damaged too.
    if (isProblem(error) && error.code !== 'CANCELLED') return error.message
    throw error
  }
}
