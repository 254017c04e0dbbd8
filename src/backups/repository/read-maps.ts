import type { BackupManifest } from '../format/manifest.ts'
import { decodeRegionMap, type MappedChunk } from '../format/region-map.ts'
import type { ChunkIndex } from './chunk-index.ts'
import type { Repository } from './open-repository.ts'
import { readChunks } from './read-chunks.ts'

interface ReadMaps {
  readonly repository: Repository
  readonly index: ChunkIndex
  readonly manifests: readonly BackupManifest[]
  readonly signal?: AbortSignal | undefined
  /** The map of that id cannot be had. */
  readonly onDamaged: (map: string, why: string) => void
}

/** The maps of backups by id; each is read once, however many backups have it. */
export async function readMaps({ manifests, onDamaged, ...rest }: ReadMaps): Promise<Map<string, MappedChunk[]>> {
  const maps = new Map<string, MappedChunk[]>()
  const ids = manifests.flatMap(({ files }) => files.flatMap(({ regions }) => regions.map(({ map }) => map)))
  await readChunks({
    ...rest,
    ids,
    onDamaged,
    onChunk: (id, content) => {
      const map = decodeRegionMap(content)
      if (map === undefined) onDamaged(id, 'it is not a map')
      else maps.set(id, map)
    },
  })
  return maps
}
