import { inParallel, isProblem, Problem } from '../../base/index.ts'
import { BackupManifest } from '../format/manifest.ts'
import { idIn, isBackupId, objectNames } from '../format/object-names.ts'
import { openObject } from '../format/sealed-object.ts'
import { listAll } from '../targets/list-all.ts'
import type { Repository } from './open-repository.ts'

export interface Backup {
  readonly id: string
  readonly manifest: BackupManifest
}

/** One that is there and cannot be read. */
export interface BrokenBackup {
  readonly id: string
  readonly problem: Problem
}

const requestsAtOnce = 8

/** Every backup, the newest first; those that cannot be read beside them. */
export async function listBackups(
  repository: Repository,
  signal?: AbortSignal,
): Promise<{ backups: Backup[]; broken: BrokenBackup[] }> {
  const names = await listAll(repository.target, objectNames.backups, { signal })
  const ids = names.map(({ name }) => idIn(name)).filter(isBackupId)
  const backups: Backup[] = []
  const broken: BrokenBackup[] = []
  await inParallel(ids, requestsAtOnce, async (id) => {
    try {
      const manifest = await readManifest(repository, id, signal)
      // One that was removed meanwhile.
      if (manifest !== undefined) backups.push({ id, manifest })
    } catch (error) {
      if (!isProblem(error, 'BACKUP_DAMAGED')) throw error
      broken.push({ id, problem: error })
    }
  })
  return { backups: backups.sort(newestFirst), broken: broken.sort(byId) }
}

/**
 * The backup of that id, or the newest of what has that name.
 *
 * @throws Problem BACKUP_NOT_FOUND, BACKUP_DAMAGED
 */
export async function findBackup(
  repository: Repository,
  idOrName: string,
  { kind, signal }: { kind?: BackupManifest['kind'] | undefined; signal?: AbortSignal | undefined } = {},
): Promise<Backup> {
  const found = isBackupId(idOrName)
    ? await backupOf(repository, idOrName, signal)
    : (await listBackups(repository, signal)).backups.find(
        ({ manifest }) => manifest.name === idOrName && (kind === undefined || manifest.kind === kind),
      )
  if (found !== undefined && (kind === undefined || found.manifest.kind === kind)) return found
  throw backupNotFound(repository, idOrName, kind)
}

export function backupNotFound({ target }: Repository, idOrName: string, kind = 'anything'): Problem {
  const what = isBackupId(idOrName) ? 'a backup' : `a backup of ${kind === 'anything' ? kind : `a ${kind}`} called`
  return new Problem('BACKUP_NOT_FOUND', `there is no ${what.replace(/^a /, '')} ${idOrName} at ${target.url}`, {
    hint: `see what there is: cowshed backup ls --at ${target.url}`,
    data: { backup: idOrName, url: target.url },
  })
}

async function backupOf(repository: Repository, id: string, signal?: AbortSignal): Promise<Backup | undefined> {
  const manifest = await readManifest(repository, id, signal)
  return manifest && { id, manifest }
}

async function readManifest(
  { target, keys }: Repository,
  id: string,
  signal?: AbortSignal,
): Promise<BackupManifest | undefined> {
  const name = objectNames.backup(id)
  const bytes = await target.get(name, { signal })
  if (bytes === undefined) return undefined
  const content = openObject(keys, name, bytes)
  if (content === undefined) throw damaged(id, 'its manifest is not what was written')
  let value: unknown
  try {
    value = JSON.parse(content.toString())
  } catch (error) {
    throw damaged(id, 'its manifest is not JSON', error)
  }
  const parsed = BackupManifest.safeParse(value)
  if (!parsed.success) throw damaged(id, 'its manifest is not one that this cowshed knows', parsed.error)
  return parsed.data
}

function damaged(id: string, why: string, cause?: unknown): Problem {
  return new Problem('BACKUP_DAMAGED', `backup ${id} is damaged: ${why}`, {
    hint: 'use another backup; this one goes with: cowshed backup rm',
    cause,
    data: { backup: id },
  })
}

function newestFirst(a: Backup, b: Backup): number {
  return b.manifest.created_at.localeCompare(a.manifest.created_at) || b.id.localeCompare(a.id)
}

function byId(a: BrokenBackup, b: BrokenBackup): number {
  return a.id.localeCompare(b.id)
}
