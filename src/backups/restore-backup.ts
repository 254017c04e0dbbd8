import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { type OnProgress, Problem, problemFromSystem } from '../base/index.ts'
import { writeSparse } from '../host/index.ts'
import { chunkBytes } from './format/chunk.ts'
import type { BackupFile } from './format/manifest.ts'
import { type MappedChunk, regionChunks } from './format/region-map.ts'
import { type Backup, findBackup } from './repository/backups.ts'
import type { ChunkIndex } from './repository/chunk-index.ts'
import { damagedPiece } from './repository/damaged-piece.ts'
import { loadChunkIndex } from './repository/load-chunk-index.ts'
import { lockRepository } from './repository/lock-repository.ts'
import type { Repository } from './repository/open-repository.ts'
import { readChunks } from './repository/read-chunks.ts'
import { readMaps } from './repository/read-maps.ts'

export interface RestoreBackup {
  readonly repository: Repository
  /** An id, or the name of what it is a backup of: the newest of it, then. */
  readonly backup: string
  readonly kind?: Backup['manifest']['kind']
  /** In staging: the files are put there under their names, mode 0600, and are not durable yet. */
  readonly directory: string
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Brings back the files of a backup, sparse as they were: every chunk is proved to be the one that was backed up, and every place of the file to have its
 * chunk.
 *
 * @throws Problem BACKUP_NOT_FOUND; BACKUP_DAMAGED which names the piece that cannot be had; BACKUP_REPOSITORY_BUSY; NO_SPACE, IO_FAILED, CANCELLED; what
 *   the target throws. Some of the files may be there then, and are for the caller to remove.
 */
export async function restoreBackup({ repository, directory, ...options }: RestoreBackup): Promise<Backup> {
  const { signal, kind, onProgress } = options
  await using _lock = await lockRepository({ ...repository, times: repository.lockTimes, kind: 'shared', signal })
  const backup = await findBackup(repository, options.backup, { kind, signal })
  const { index } = await loadChunkIndex(repository, signal)
  const maps = await mapsOf(backup, { repository, index, signal })
  for (const file of backup.manifest.files) {
    const path = join(directory, file.name)
    try {
      await using handle = await open(path, 'wx', 0o600)
      await handle.truncate(file.bytes)
      await fill(handle, { repository, index, backup, file, maps, onProgress, signal })
    } catch (error) {
      throw problemFromSystem(error, `restore ${file.name} to ${path}`)
    }
  }
  return backup
}

async function mapsOf(
  backup: Backup,
  options: { repository: Repository; index: ChunkIndex; signal: AbortSignal | undefined },
): Promise<Map<string, MappedChunk[]>> {
  return await readMaps({
    ...options,
    manifests: [backup.manifest],
    onDamaged: (map, why) => {
      for (const file of backup.manifest.files) {
        const region = file.regions.find((candidate) => candidate.map === map)
        if (region !== undefined)
          throw damagedPiece({ backup: backup.id, file, at: region.at * regionChunks, chunks: regionChunks, why })
      }
    },
  })
}

interface Fill {
  readonly repository: Repository
  readonly index: ChunkIndex
  readonly backup: Backup
  readonly file: BackupFile
  readonly maps: ReadonlyMap<string, readonly MappedChunk[]>
  readonly onProgress: OnProgress | undefined
  readonly signal: AbortSignal | undefined
}

async function fill(handle: FileHandle, { backup, file, maps, onProgress, signal, ...reading }: Fill): Promise<void> {
  const places = placesOf(file, maps)
  let done = 0
  await readChunks({
    ...reading,
    signal,
    ids: places.keys(),
    onDamaged: (id, why) => {
      throw damagedPiece({ backup: backup.id, file, at: places.get(id)?.[0] ?? 0, chunks: 1, why })
    },
    onChunk: async (id, content) => {
      if (signal?.aborted)
        throw new Problem('CANCELLED', 'the restore was stopped on request', { cause: signal.reason })
      for (const at of places.get(id) ?? []) {
        const length = Math.min(chunkBytes, file.bytes - at * chunkBytes)
        if (content.length !== length) {
          throw damagedPiece({ backup: backup.id, file, at, chunks: 1, why: 'its chunk has another size' })
        }
        await writeSparse(handle, content, at * chunkBytes)
        done += length
      }
      places.delete(id)
      onProgress?.({ phase: 'restore', item: file.name, done, total: file.data_bytes })
    },
  })
  const [left] = places.values()
  if (left !== undefined || done !== file.data_bytes) {
    throw damagedPiece({
      backup: backup.id,
      file,
      at: left?.[0] ?? 0,
      chunks: 1,
      why: 'its maps do not tell of all of it',
    })
  }
}

/** Where in the file each chunk goes: the same content may be in several places. */
function placesOf(file: BackupFile, maps: ReadonlyMap<string, readonly MappedChunk[]>): Map<string, number[]> {
  const places = new Map<string, number[]>()
  for (const { at: region, map } of file.regions) {
    for (const { at, id } of maps.get(map) ?? []) {
      const known = places.get(id)
      if (known === undefined) places.set(id, [region * regionChunks + at])
      else known.push(region * regionChunks + at)
    }
  }
  return places
}
