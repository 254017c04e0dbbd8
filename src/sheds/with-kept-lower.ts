import { isProblem, parseDigest } from '../base/index.ts'
import type { ShedsContext } from './context.ts'
import type { ShedRecord } from './records/shed-record.ts'
import type { LongWork } from './sheds.ts'

/**
 * A shed whose lower is read in part, as any other once that very lower is whole. Another form of its image is not taken for it.
 *
 * @returns its record, without `lazy` then
 * @throws Problem CANCELLED, RECORD_INVALID
 */
export async function withKeptLower(
  { images }: Pick<ShedsContext, 'images'>,
  record: ShedRecord,
  work: LongWork,
): Promise<ShedRecord> {
  const { lazy, ...others } = record
  if (lazy === undefined) return record
  await images.settleLazyLower(lazy.chunk_index_digest, work).catch((error: unknown) => {
    // It is read in part as before: a full disk, say, is no reason not to go on.
    if (!isProblem(error) || error.code === 'CANCELLED') throw error
  })
  const isKept = await images.isKeptAs(parseDigest(record.image.manifest_digest), lazy.chunk_index_digest)
  return isKept ? others : record
}
