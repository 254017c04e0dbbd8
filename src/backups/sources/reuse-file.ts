import { isDeepStrictEqual } from 'node:util'
import { isProblem } from '../../base/index.ts'
import type { BackupFile } from '../format/manifest.ts'
import { type Backup, findBackup } from '../repository/backups.ts'
import type { ChunkIndex } from '../repository/chunk-index.ts'
import type { Repository } from '../repository/open-repository.ts'
import { readMaps } from '../repository/read-maps.ts'
import type { FileIdentity } from './file-identity.ts'
import type { KnownSources } from './known-sources.ts'

interface ReuseFile {
  readonly repository: Repository
  readonly index: ChunkIndex
  readonly known: KnownSources
  /** In the backup. */
  readonly name: string
  readonly identity: FileIdentity
  readonly signal: AbortSignal | undefined
}

export interface ReusedFile {
  readonly file: BackupFile
  /** Packs that have its chunks. */
  readonly packs: ReadonlySet<string>
}

/**
 * A file as the last backup has it, if it is as it was then and the repository has all of it still: it need not be read.
 *
 * @returns undefined when it is to be read
 */
export async function reuseFile({
  repository,
  index,
  known,
  name,
  identity,
  signal,
}: ReuseFile): Promise<ReusedFile | undefined> {
  const last = await known.last()
  if (last === undefined || !isDeepStrictEqual(last.files[name], identity)) return undefined
  const backup = await findBackup(repository, last.backup, { signal }).catch(unlessLost)
  const file = backup?.manifest.files.find((candidate) => candidate.name === name)
  if (backup === undefined || file === undefined) return undefined
  const ids = await chunksOf(backup, file, { repository, index, signal })
  const packs = new Set<string>()
  for (const id of ids ?? []) {
    const place = index.find(id)
    if (place === undefined) return undefined
    packs.add(place.table.pack)
  }
  return ids && { file, packs }
}

/** The ids of the maps and chunks of a file; undefined when a map cannot be had. */
async function chunksOf(
  backup: Backup,
  file: BackupFile,
  reading: { repository: Repository; index: ChunkIndex; signal: AbortSignal | undefined },
): Promise<string[] | undefined> {
  let isDamaged = false
  const manifests = [{ ...backup.manifest, files: [file] }]
  const maps = await readMaps({
    ...reading,
    manifests,
    onDamaged: () => {
      isDamaged = true
    },
  })
  if (isDamaged) return undefined
  return [...maps].flatMap(([map, chunks]) => [map, ...chunks.map(({ id }) => id)])
}

/** It was removed, or has rotted. */
function unlessLost(error: unknown): undefined {
  if (!isProblem(error, 'BACKUP_NOT_FOUND') && !isProblem(error, 'BACKUP_DAMAGED')) throw error
}
