import { isProblem, type OnProgress, Problem, printable } from '../base/index.ts'
import type { BackupFile } from './format/manifest.ts'
import { type MappedChunk, regionChunks } from './format/region-map.ts'
import { type Backup, findBackup, listBackups } from './repository/backups.ts'
import { damagedPiece } from './repository/damaged-piece.ts'
import { loadChunkIndex } from './repository/load-chunk-index.ts'
import { lockRepository } from './repository/lock-repository.ts'
import type { Repository } from './repository/open-repository.ts'
import { readChunks } from './repository/read-chunks.ts'
import { readMaps } from './repository/read-maps.ts'

export interface VerifyBackups {
  readonly repository: Repository
  /** All unless told. */
  readonly backup?: string | undefined
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}

export interface VerifiedBackups {
  /** Ids of those that can be restored. */
  readonly intact: readonly string[]
  /** What cannot: one BACKUP_DAMAGED for each piece, or for a whole backup. */
  readonly damaged: readonly Problem[]
  /** Chunks that were read, each once. */
  readonly chunks: number
  readonly bytes: number
}

/**
 * Reads every chunk that backups need and proves it, without writing anything.
 *
 * @throws Problem BACKUP_NOT_FOUND, BACKUP_REPOSITORY_BUSY, CANCELLED; what the target throws
 */
export async function verifyBackups({
  repository,
  backup,
  onProgress,
  signal,
}: VerifyBackups): Promise<VerifiedBackups> {
  await using _lock = await lockRepository({ ...repository, times: repository.lockTimes, kind: 'shared', signal })
  const { backups, broken } = await chosen(repository, backup, signal)
  const { index } = await loadChunkIndex(repository, signal)
  const reasons = new Map<string, string>()
  const onDamaged = (id: string, why: string) => void reasons.set(id, why)
  const manifests = backups.map(({ manifest }) => manifest)
  const maps = await readMaps({ repository, index, manifests, signal, onDamaged })
  const ids = new Set([...maps.values()].flatMap((chunks) => chunks.map(({ id }) => id)))
  const total = [...ids].reduce((sum, id) => sum + (index.find(id)?.chunk.plainBytes ?? 0), 0)
  let [chunks, bytes] = [0, 0]
  await readChunks({
    repository,
    index,
    ids,
    signal,
    onDamaged,
    onChunk: (_, content) => {
      if (signal?.aborted) throw new Problem('CANCELLED', 'the verification was stopped on request')
      chunks++
      bytes += content.length
      onProgress?.({ phase: 'verify', done: bytes, total })
    },
  })
  const pieces = backups.map((each) => damagedPieces(each, maps, reasons))
  return {
    intact: backups.filter((_, at) => pieces[at]?.length === 0).map(({ id }) => id),
    damaged: [...broken, ...pieces.flat()],
    chunks,
    bytes,
  }
}

async function chosen(
  repository: Repository,
  backup: string | undefined,
  signal: AbortSignal | undefined,
): Promise<{ backups: Backup[]; broken: Problem[] }> {
  if (backup === undefined) {
    const { backups, broken } = await listBackups(repository, signal)
    return { backups, broken: broken.map(({ problem }) => problem) }
  }
  try {
    return { backups: [await findBackup(repository, backup, { signal })], broken: [] }
  } catch (error) {
    if (!isProblem(error, 'BACKUP_DAMAGED')) throw error
    return { backups: [], broken: [error] }
  }
}

function damagedPieces(
  { id, manifest }: Backup,
  maps: ReadonlyMap<string, readonly MappedChunk[]>,
  reasons: ReadonlyMap<string, string>,
): Problem[] {
  return manifest.files.flatMap((file) => damagedIn(id, file, maps, reasons))
}

function damagedIn(
  backup: string,
  file: BackupFile,
  maps: ReadonlyMap<string, readonly MappedChunk[]>,
  reasons: ReadonlyMap<string, string>,
): Problem[] {
  return file.regions.flatMap(({ at, map }) => {
    const start = at * regionChunks
    const why = reasons.get(map)
    if (why !== undefined) return [damagedPiece({ backup, file, at: start, chunks: regionChunks, why: printable(why) })]
    return (maps.get(map) ?? []).flatMap((chunk) => {
      const reason = reasons.get(chunk.id)
      return reason === undefined ? [] : [damagedPiece({ backup, file, at: start + chunk.at, chunks: 1, why: reason })]
    })
  })
}
