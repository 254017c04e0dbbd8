import { z } from 'zod'
import { Problem } from '../../base/index.ts'
import { objectNames } from '../format/object-names.ts'
import type { BackupKey } from '../keys/backup-key.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import { RepositoryKeys } from '../keys/repository-keys.ts'
import type { BackupTarget } from '../targets/target.ts'
import type { LockTimes } from './lock-repository.ts'

/** A place that has backups, and the key to them. */
export interface Repository {
  readonly target: BackupTarget
  readonly keys: RepositoryKeys
  readonly lockTimes?: LockTimes | undefined
}

interface OpenRepository {
  readonly target: BackupTarget
  readonly keyRing: KeyRing
  /** Begins one where there is none. */
  readonly create?: boolean | undefined
  readonly lockTimes?: LockTimes | undefined
  readonly signal?: AbortSignal | undefined
}

const Description = z.strictObject({
  format: z.literal('cowshed-backups'),
  version: z.number().int(),
  /** Of the key that everything here is sealed with. */
  key: z.string().regex(/^[0-9a-f]{32}$/),
})

/**
 * @throws Problem BACKUP_REPOSITORY_NOT_FOUND when there is none and none is to be made; BACKUP_REPOSITORY_INVALID when what is there is no repository, or
 *   one of a later cowshed; BACKUP_KEY_NOT_FOUND when its key is not on this host; what the target throws
 */
export async function openRepository({ target, keyRing, create, ...rest }: OpenRepository): Promise<Repository> {
  const { signal, lockTimes } = rest
  const written = await target.get(objectNames.repository, { signal })
  const key =
    written !== undefined
      ? await keyFor(parseDescription(target, written), { target, keyRing })
      : await begin({ target, keyRing, create, signal })
  return { target, keys: new RepositoryKeys(key), lockTimes }
}

async function begin({ target, keyRing, create, signal }: OpenRepository): Promise<BackupKey> {
  if (create !== true) {
    throw new Problem('BACKUP_REPOSITORY_NOT_FOUND', `there are no backups at ${target.url}`, {
      hint: 'see whether the place is the right one; the first backup begins a repository',
      data: { url: target.url },
    })
  }
  const key = await keyRing.own()
  // The same bytes from each host that has the key: it does no harm if two begin at once.
  await target.putNew(objectNames.repository, describe(key), { signal })
  const there = await target.get(objectNames.repository, { signal })
  if (there === undefined) throw invalid(target, 'what was written there is not there')
  return await keyFor(parseDescription(target, there), { target, keyRing })
}

function describe({ id }: BackupKey): Buffer {
  const description: z.infer<typeof Description> = { format: 'cowshed-backups', version: 1, key: id }
  return Buffer.from(`${JSON.stringify(description, null, 2)}\n`)
}

function parseDescription(target: BackupTarget, bytes: Buffer): string {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString())
  } catch {
    throw invalid(target, `${objectNames.repository} is not JSON`)
  }
  const parsed = Description.safeParse(value)
  if (!parsed.success) throw invalid(target, `${objectNames.repository} is not what cowshed writes`)
  if (parsed.data.version !== 1)
    throw invalid(target, `its version is ${parsed.data.version}, and this cowshed knows 1`)
  return parsed.data.key
}

async function keyFor(id: string, { target, keyRing }: OpenRepository): Promise<BackupKey> {
  const key = await keyRing.find(id)
  if (key !== undefined) return key
  throw new Problem(
    'BACKUP_KEY_NOT_FOUND',
    `the backups at ${target.url} are sealed with a key that is not on this host`,
    {
      hint: 'on the host that made them: cowshed backup key show; here: cowshed backup key import',
      data: { url: target.url, key: id },
    },
  )
}

function invalid({ url }: BackupTarget, why: string): Problem {
  return new Problem('BACKUP_REPOSITORY_INVALID', `${url} has no backups that can be used: ${why}`, {
    hint: 'give another place, or put back what was there',
    data: { url },
  })
}
