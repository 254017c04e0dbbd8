import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type DataLayout, type Digest, digestOf, problemFromSystem } from '../../base/index.ts'
import { installFile } from '../../host/index.ts'
import { encodeRecord } from '../../state/index.ts'
import { findKeptLower } from '../kept/find-kept-lower.ts'
import { type KeptRecord, readKeptRecord } from './kept-record.ts'

/** A lower that is kept as it was published. */
export interface KeptAs {
  readonly manifest: Digest
  /** What was asked for, and the index that it stood for. */
  readonly reference: string
  readonly publishedAs: Digest
  /** Its chunk index. */
  readonly indexBytes: Buffer
  /** The blob that it was verified as, when it came without one. */
  readonly blob?: Digest | undefined
  /** A directory in staging. */
  readonly staging: string
}

/**
 * Writes down, before the lower itself or beside one that is there, where it comes from and what its bytes must be. In line with the removals.
 *
 * @throws Problem NO_SPACE, IO_FAILED
 */
export async function noteKept(layout: DataLayout, kept: KeptAs): Promise<void> {
  const { manifest, reference, publishedAs, indexBytes, blob, staging } = kept
  const isThere = findKeptLower(layout, manifest) !== undefined
  const known = isThere ? await readKeptRecord(layout, manifest) : 'new'
  // One that was built here needs nobody's word.
  if (known === 'none' || (known !== 'new' && known.published_as.includes(publishedAs))) return
  const earlier = known === 'new' ? [] : known.published_as
  const record: KeptRecord = {
    version: 1,
    reference: known === 'new' ? reference : known.reference,
    chunk_index_digest: digestOf(indexBytes),
    ...(blob !== undefined && { blob_digest: blob }),
    published_as: [publishedAs, ...earlier].slice(0, maxRemembered),
  }
  try {
    await mkdir(layout.keptLowers, { recursive: true })
    await write(staging, { bytes: indexBytes, to: layout.keptLowerChunks(manifest) })
    await write(staging, { bytes: encodeRecord(record), to: layout.keptLowerRecord(manifest) })
  } catch (error) {
    throw problemFromSystem(error, `write to ${layout.keptLowers}`)
  }
}

const maxRemembered = 16

async function write(staging: string, { bytes, to }: { bytes: Uint8Array | string; to: string }): Promise<void> {
  const from = join(staging, 'note')
  await writeFile(from, bytes)
  await installFile({ from, to, mode: 0o644 })
}
