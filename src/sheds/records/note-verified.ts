import { isProblem, parseDigest } from '../../base/index.ts'
import { writeRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from './shed-record.ts'

/** Says of a shed that what it reads was verified, once that is so. @returns its record as it is then; when that cannot be written, as it was */
export async function noteVerified(context: ShedsContext, record: ShedRecord): Promise<ShedRecord> {
  const { lazy, failure } = record
  if (lazy?.unverified !== true || failure !== undefined) return record
  const manifest = parseDigest(record.image.manifest_digest)
  try {
    if (!(await context.images.isKeptAs(manifest, lazy.chunk_index_digest))) return record
    const { unverified: _not, ...verified } = lazy
    const noted = { ...record, lazy: verified }
    await writeRecord(context.layout.shed(record.name).record, noted)
    return noted
  } catch (error) {
    // The next transition tries it again.
    if (isProblem(error)) return record
    throw error
  }
}
