import { z } from 'zod'
import { chunkBytes } from './chunk.ts'
import { regionChunks } from './region-map.ts'

const Bytes = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER)
const ChunkId = z.string().regex(/^[0-9a-f]{64}$/)

/** A file of a backup: its size, and the maps of those regions that are not one hole. */
const BackupFile = z
  .strictObject({
    /** A plain name: where it goes is for whoever restores it to say. */
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/),
    bytes: Bytes,
    /** Bytes of all its chunks. */
    data_bytes: Bytes,
    regions: z.array(z.strictObject({ at: z.number().int().nonnegative(), map: ChunkId })),
  })
  .refine(({ bytes, regions }) => inOrderAndInside(bytes, regions), 'its regions are not in order, or not in the file')
export type BackupFile = z.infer<typeof BackupFile>

/** What a backup is. It is written last: without it there is no backup, with it there is all of it. */
export const BackupManifest = z.strictObject({
  version: z.literal(1),
  kind: z.enum(['volume', 'snapshot']),
  /** Of what it is a backup. */
  name: z.string().min(1).max(255),
  created_at: z.iso.datetime(),
  /** The name of the host that made it. */
  host: z.string().max(255),
  /** What the maker says of it, for whoever restores it. */
  record: z.unknown(),
  files: z.array(BackupFile).refine((files) => new Set(files.map(({ name }) => name)).size === files.length),
  /** Bytes that were stored anew for it, encrypted as they are. */
  added_bytes: Bytes,
})
export type BackupManifest = z.infer<typeof BackupManifest>

function inOrderAndInside(bytes: number, regions: readonly { at: number }[]): boolean {
  const count = Math.ceil(bytes / chunkBytes / regionChunks)
  return regions.every(({ at }, index) => at < count && at > (regions[index - 1]?.at ?? -1))
}
