import type { DataLayout, Digest } from '../../base/index.ts'
import { findKeptLower } from '../kept/find-kept-lower.ts'
import type { Lower } from '../lowers/ensure-lower.ts'
import { readKeptRecord } from './kept-record.ts'

/**
 * The lower of a manifest that is here whole, when it is the one of a chunk index; or came without one, and is known by the manifest: what is read in part can be read there.
 *
 * @throws Problem IO_FAILED
 */
export async function findKeptAs(layout: DataLayout, manifest: Digest, chunkIndex: Digest): Promise<Lower | undefined> {
  const kept = findKeptLower(layout, manifest)
  if (kept === undefined) return undefined
  const record = await readKeptRecord(layout, manifest)
  if (record === 'none') return undefined
  const isPlain = record.blob_digest !== undefined && chunkIndex === manifest
  return isPlain || record.chunk_index_digest === chunkIndex ? kept : undefined
}
