import { Problem } from '../base/index.ts'
import { type CollectedGarbage, collectGarbage } from './collect-garbage.ts'
import { objectNames } from './format/object-names.ts'
import { type Backup, findBackup, listBackups } from './repository/backups.ts'
import { lockRepository } from './repository/lock-repository.ts'
import type { Repository } from './repository/open-repository.ts'
import { type Retention, selectExpired } from './select-expired.ts'

export interface PruneBackups extends Retention {
  readonly repository: Repository
  /** Says what would go, and removes nothing. */
  readonly dryRun?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

export interface PrunedBackups extends CollectedGarbage {
  readonly removed: readonly Backup[]
}

/**
 * Removes the backups that no rule keeps, and then every chunk that no backup needs. Alone: no backup is made, restored or verified meanwhile.
 *
 * @throws Problem BACKUP_DAMAGED when a backup cannot be read: nothing is removed then, because nobody knows what it needs; BACKUP_REPOSITORY_BUSY,
 *   CANCELLED; what the target throws
 */
export async function pruneBackups({ repository, dryRun, signal, ...rules }: PruneBackups): Promise<PrunedBackups> {
  const kind = dryRun === true ? 'shared' : 'exclusive'
  await using lock = await lockRepository({ ...repository, times: repository.lockTimes, kind, signal })
  const { backups, broken } = await listBackups(repository, signal)
  const [first] = broken
  if (first !== undefined) throw first.problem
  const removed = new Set(selectExpired(backups, rules))
  if (dryRun !== true) {
    for (const { id } of removed) await repository.target.remove(objectNames.backup(id), { signal })
  }
  const living = backups.filter((backup) => !removed.has(backup))
  const collected = await collectGarbage({ repository, lock, living, dryRun, signal })
  return { removed: [...removed], ...collected }
}

/**
 * Removes one backup, damaged or not; its bytes are freed by the next prune.
 *
 * @param id its id in full: a name would be another backup tomorrow
 * @throws Problem BACKUP_NOT_FOUND; what the target throws
 */
export async function removeBackup(repository: Repository, id: string, signal?: AbortSignal): Promise<void> {
  try {
    await findBackup(repository, id, { signal })
  } catch (error) {
    // It goes all the same: that is what one does with it.
    if (!(error instanceof Problem && error.code === 'BACKUP_DAMAGED')) throw error
  }
  await repository.target.remove(objectNames.backup(id), { signal })
}
