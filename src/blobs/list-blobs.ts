import { lstat } from 'node:fs/promises'
import { type DataLayout, type Digest, errnoCode, isDigest, problemFromSystem } from '../base/index.ts'
import { namesIn } from '../host/index.ts'

export interface BlobSummary {
  readonly digest: Digest
  readonly path: string
  readonly logicalBytes: number
  readonly physicalBytes: number
  /** When it came into the store. */
  readonly storedAt: Date
}

/** Every blob of a layout, in the order of their digests. */
export async function listBlobs(layout: DataLayout): Promise<BlobSummary[]> {
  const found: BlobSummary[] = []
  for (const algorithm of ['sha256', 'sha512']) {
    for (const hex of (await namesIn(`${layout.blobs}/${algorithm}`)).sort()) {
      const digest = `${algorithm}:${hex}`
      const blob = isDigest(digest) ? await summarize(digest, layout.blob(digest)) : undefined
      if (blob !== undefined) found.push(blob)
    }
  }
  return found
}

async function summarize(digest: Digest, path: string): Promise<BlobSummary | undefined> {
  try {
    const { size, blocks, mtime } = await lstat(path)
    return { digest, path, logicalBytes: size, physicalBytes: blocks * 512, storedAt: mtime }
  } catch (error) {
    // Removed since the directory was read.
    if (errnoCode(error) === 'ENOENT') return undefined
    throw problemFromSystem(error, `look at ${path}`)
  }
}
