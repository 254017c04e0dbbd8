import { homedir } from 'node:os'
import type { DataLayout } from '../base/index.ts'
import { type BackUp, backUp } from './back-up.ts'
import { type KeyRing, openKeyRing } from './keys/key-ring.ts'
import { type PruneBackups, type PrunedBackups, pruneBackups, removeBackup } from './prune-backups.ts'
import { type Backup, type BrokenBackup, listBackups } from './repository/backups.ts'
import { openRepository, type Repository } from './repository/open-repository.ts'
import { type RestoreBackup, restoreBackup } from './restore-backup.ts'
import { openKnownSources } from './sources/known-sources.ts'
import { openTarget, type S3Settings } from './targets/open-target.ts'
import { type VerifiedBackups, type VerifyBackups, verifyBackups } from './verify-backups.ts'

/** A place, as people write it. */
interface At {
  readonly url: string
}

type Without<T> = Omit<T, 'repository' | 'known'> & At

/**
 * Backups at any place, with the keys of this host. Each opens its place and closes it, and throws Problem INVALID_REQUEST for what is no place,
 * BACKUP_REPOSITORY_NOT_FOUND, BACKUP_REPOSITORY_INVALID and BACKUP_KEY_NOT_FOUND besides what it says itself.
 */
export interface Backups {
  readonly keys: KeyRing
  /** Begins a repository where there is none. @see backUp */
  backUp(options: Without<BackUp>): Promise<Backup>
  /** @see restoreBackup */
  restore(options: Without<RestoreBackup>): Promise<Backup>
  list(options: At & { readonly signal?: AbortSignal }): Promise<{ backups: Backup[]; broken: BrokenBackup[] }>
  /** @see removeBackup */
  remove(options: At & { readonly id: string; readonly signal?: AbortSignal }): Promise<void>
  /** @see pruneBackups */
  prune(options: Without<PruneBackups>): Promise<PrunedBackups>
  /** @see verifyBackups */
  verify(options: Without<VerifyBackups>): Promise<VerifiedBackups>
}

interface OpenBackups {
  readonly layout: DataLayout
  /** By bucket; `*` is for every other. */
  readonly s3: Readonly<Record<string, S3Settings>>
}

export function openBackups({ layout, s3 }: OpenBackups): Backups {
  const keyRing = openKeyRing(layout)
  const at = async <T>(
    { url, signal, create }: At & { readonly signal?: AbortSignal | undefined; readonly create?: boolean },
    work: (repository: Repository) => Promise<T>,
  ): Promise<T> => {
    const target = openTarget(url, { s3, env: process.env, home: homedir() })
    try {
      return await work(await openRepository({ target, keyRing, create, signal }))
    } finally {
      await target.close()
    }
  }
  return {
    keys: keyRing,
    backUp: ({ url, ...options }) =>
      at({ url, signal: options.signal, create: true }, (repository) =>
        backUp({ repository, known: openKnownSources(layout, { repository, ...options }), ...options }),
      ),
    restore: ({ url, ...options }) =>
      at({ url, signal: options.signal }, (repository) => restoreBackup({ repository, ...options })),
    list: (options) => at(options, (repository) => listBackups(repository, options.signal)),
    remove: (options) => at(options, (repository) => removeBackup(repository, options.id, options.signal)),
    prune: ({ url, ...options }) =>
      at({ url, signal: options.signal }, (repository) => pruneBackups({ repository, ...options })),
    verify: ({ url, ...options }) =>
      at({ url, signal: options.signal }, (repository) => verifyBackups({ repository, ...options })),
  }
}
