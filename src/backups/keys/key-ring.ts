import { mkdir } from 'node:fs/promises'
import { z } from 'zod'
import { type DataLayout, problemFromSystem } from '../../base/index.ts'
import { lockFile, namesIn } from '../../host/index.ts'
import { readRecord, writeRecord } from '../../state/index.ts'
import { type BackupKey, formatBackupKey, newBackupKey, parseBackupKey } from './backup-key.ts'

const KeyRecord = z.strictObject({
  key: z.string(),
  /** Made here, or brought from another host to read its backups. */
  origin: z.enum(['made', 'imported']),
  created_at: z.iso.datetime(),
})

/** The keys of this host: its own, which seals what it begins, and those of others. */
export interface KeyRing {
  /** The key that new repositories get; it is made when there is none. @throws Problem RECORD_INVALID rather than make a second one */
  own(): Promise<BackupKey>
  /** @throws Problem RECORD_INVALID */
  find(id: string): Promise<BackupKey | undefined>
  /** One that is here already stays as it is. @throws Problem BACKUP_KEY_INVALID */
  import(text: string): Promise<BackupKey>
}

/** @throws Problem of the records: RECORD_INVALID, NO_SPACE, PERMISSION_DENIED, IO_FAILED */
export function openKeyRing(layout: DataLayout): KeyRing {
  return {
    async own() {
      return (await findOwn(layout)) ?? (await makeOwn(layout))
    },
    async find(id) {
      return (await read(layout, id))?.key
    },
    async import(text) {
      const key = parseBackupKey(text)
      if ((await read(layout, key.id)) === undefined) await write(layout, key, 'imported')
      return key
    },
  }
}

/** Two backups that are a host's first make one key. */
async function makeOwn(layout: DataLayout): Promise<BackupKey> {
  await makeDirectory(layout)
  using _lock = await lockFile(layout.backupKeyLock, { mode: 'exclusive', wait: true })
  const known = await findOwn(layout)
  if (known !== undefined) return known
  const key = newBackupKey()
  await write(layout, key, 'made')
  return key
}

async function findOwn(layout: DataLayout): Promise<BackupKey | undefined> {
  for (const id of await idsOf(layout)) {
    const found = await read(layout, id)
    if (found?.origin === 'made') return found.key
  }
  return undefined
}

async function read(layout: DataLayout, id: string) {
  const record = await readRecord(layout.backupKey(id), KeyRecord)
  return record && { key: parseBackupKey(record.key), origin: record.origin }
}

async function write(layout: DataLayout, key: BackupKey, origin: 'made' | 'imported'): Promise<void> {
  await makeDirectory(layout)
  const record: z.infer<typeof KeyRecord> = {
    key: formatBackupKey(key),
    origin,
    created_at: new Date().toISOString(),
  }
  await writeRecord(layout.backupKey(key.id), record)
}

async function makeDirectory({ backupKeys }: DataLayout): Promise<void> {
  try {
    await mkdir(backupKeys, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw problemFromSystem(error, `make ${backupKeys}`)
  }
}

async function idsOf({ backupKeys }: DataLayout): Promise<string[]> {
  const names = await namesIn(backupKeys)
  return names.flatMap((name) => /^([0-9a-f]{32})\.json$/.exec(name)?.[1] ?? []).sort()
}
