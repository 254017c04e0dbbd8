import { open } from 'node:fs/promises'
import {
  type Digest,
  DigestHasher,
  digestAlgorithm,
  digestHex,
  formatSize,
  problemFromSystem,
  shortDigest,
} from '../base/index.ts'
import { cancelled, digestMismatch, sizeMismatch } from './blob-problems.ts'

export interface StageBlob {
  /** A staging directory on the filesystem of the store. */
  readonly staging: string
  readonly digest: Digest
  /** Bytes that the blob must have. */
  readonly size: number
  readonly source: AsyncIterable<Uint8Array>
  /** Called with the number of bytes of each piece that was written. */
  readonly onBytes?: ((bytes: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** A verified blob that nobody sees yet. */
export interface StagedBlob {
  readonly digest: Digest
  readonly size: number
  readonly path: string
}

/**
 * Writes a stream to staging and proves that it is the blob that it is said to be. One byte more than `size` ends it, so that a hostile
 * source cannot fill the disk.
 *
 * On failure the staging directory may hold a partial file; removing staging is its owner's duty anyway.
 * @throws Problem SIZE_MISMATCH, DIGEST_MISMATCH, NO_SPACE, CANCELLED, and whatever Problem the source throws
 */
export async function stageBlob(request: StageBlob): Promise<StagedBlob> {
  const { digest, size, staging } = request
  const path = `${staging}/${digestAlgorithm(digest)}-${digestHex(digest)}`
  const hasher = new DigestHasher(digestAlgorithm(digest))
  try {
    await writeVerified(path, request, hasher)
  } catch (error) {
    if (request.signal?.aborted) throw cancelled(request.signal)
    throw problemFromSystem(error, `write blob ${shortDigest(digest)} to ${staging}`)
  }
  if (hasher.bytes !== size) throw sizeMismatch(digest, size, formatSize(hasher.bytes))
  const actual = hasher.digest()
  if (actual !== digest) throw digestMismatch(digest, actual)
  return { digest, size, path }
}

async function writeVerified(path: string, request: StageBlob, hasher: DigestHasher): Promise<void> {
  await using file = await open(path, 'w', 0o600)
  for await (const chunk of request.source) {
    request.signal?.throwIfAborted()
    if (hasher.bytes + chunk.length > request.size) throw sizeMismatch(request.digest, request.size, 'more')
    hasher.update(chunk)
    await file.writeFile(chunk)
    request.onBytes?.(chunk.length)
  }
  // Written back now, while there is still a stream to wait for, so that installing is quick.
  await file.datasync()
}
