import { z } from 'zod'
import { type DataLayout, type Digest, isProblem, type LowerProfile } from '../../base/index.ts'
import { decodeStoredPart, encodeStoredPart, type StoredPart } from '../../formats/index.ts'
import { zstdVersion } from '../../host/index.ts'
import { readRecord, writeRecord } from '../../state/index.ts'
import { compressionLevel } from './store-part.ts'

/** What was made of a layer's data when it was published last. */
export interface StoredLayer {
  readonly part: StoredPart
  readonly storedBytes: number
  /** What made it: the same makes it again, byte for byte. */
  readonly compressor: string
  /** Repositories that have the blob, `registry/path`, the last first. */
  readonly repositories: readonly string[]
}

/** The data blob of a layer, in one of its forms. */
export interface LayerData {
  readonly diffId: Digest
  readonly profile: LowerProfile
}

const Record = z.object({
  version: z.literal(1),
  compressor: z.string(),
  stored_bytes: z.int().min(1),
  /** As a chunk index has it, in base64. */
  part: z.base64(),
  repositories: z.array(z.string()),
})

const maxRepositories = 16

/** What this host's libzstd and level are called. @throws Problem TOOL_NOT_FOUND */
export function compressorName(): string {
  return `zstd ${zstdVersion()} level ${compressionLevel}`
}

/** Undefined when there is nothing of use: it is derived, and is made again. */
export async function readStoredLayer(
  layout: DataLayout,
  { diffId, profile }: LayerData,
): Promise<StoredLayer | undefined> {
  try {
    const record = await readRecord(layout.layerStored(diffId, profile), Record)
    if (record === undefined) return undefined
    const part = decodeStoredPart(Buffer.from(record.part, 'base64'))
    return { part, storedBytes: record.stored_bytes, compressor: record.compressor, repositories: record.repositories }
  } catch (error) {
    if (isProblem(error)) return undefined
    throw error
  }
}

/** Remembers it, and that a repository has it. @throws Problem NO_SPACE, IO_FAILED */
export async function writeStoredLayer(
  layout: DataLayout,
  { diffId, profile, stored, repository }: LayerData & { stored: StoredLayer; repository: string },
): Promise<void> {
  const { part, storedBytes, compressor, repositories } = stored
  if (repositories[0] === repository) return
  await writeRecord(layout.layerStored(diffId, profile), {
    version: 1,
    compressor,
    stored_bytes: storedBytes,
    part: encodeStoredPart(part).toString('base64'),
    repositories: [repository, ...repositories.filter((other) => other !== repository)].slice(0, maxRepositories),
  } satisfies z.infer<typeof Record>)
}
