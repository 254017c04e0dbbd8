import { readFile } from 'node:fs/promises'
import { type DataLayout, type Digest, digestOf, errnoCode, isProblem, problemFromSystem } from '../../base/index.ts'
import { type ChunkIndex, decodeChunkIndex } from '../../formats/index.ts'
import { readKeptRecord } from './kept-record.ts'

/** The chunk index of a lower that is kept as it came, held against what is recorded of it. @returns undefined when it is not here, or damaged @throws Problem IO_FAILED */
export async function readKeptChunks(layout: DataLayout, manifest: Digest): Promise<ChunkIndex | undefined> {
  const path = layout.keptLowerChunks(manifest)
  const record = await readKeptRecord(layout, manifest)
  if (record === 'none') return undefined
  try {
    const bytes = await readFile(path)
    return digestOf(bytes) === record.chunk_index_digest ? decodeChunkIndex(bytes) : undefined
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || isProblem(error)) return undefined
    throw problemFromSystem(error, `read ${path}`)
  }
}
