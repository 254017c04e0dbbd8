import { z } from 'zod'
import { type DataLayout, type Digest, isProblem } from '../../base/index.ts'
import { readRecord } from '../../state/index.ts'

/** Where a lower was pulled from, as it was published. */
export const KeptRecord = z.object({
  version: z.literal(1),
  /** What the user asked for when it was pulled first. */
  reference: z.string(),
  /** Of the chunk index that it was verified with, which lies beside it. */
  chunk_index_digest: z.string(),
  /** Of one that came as a single blob, without a chunk index: that was made here, once all of the blob was verified. */
  blob_digest: z.string().optional(),
  /** Indexes that say it is that of the image: who has pulled one of these has pulled this lower. */
  published_as: z.array(z.string()),
})
export type KeptRecord = z.infer<typeof KeptRecord>

/** What a record that cannot be read says: that it was pulled, and by nothing that is known. */
const unknown: KeptRecord = { version: 1, reference: 'a registry', chunk_index_digest: '', published_as: [] }

/** `none` for a lower that was built here. */
export async function readKeptRecord(layout: DataLayout, manifest: Digest): Promise<KeptRecord | 'none'> {
  try {
    return (await readRecord(layout.keptLowerRecord(manifest), KeptRecord)) ?? 'none'
  } catch (error) {
    if (isProblem(error, 'RECORD_INVALID')) return unknown
    throw error
  }
}
