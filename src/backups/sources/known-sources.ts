import { createHash } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { z } from 'zod'
import { type DataLayout, isProblem } from '../../base/index.ts'
import { readRecord, writeRecord } from '../../state/index.ts'
import type { Repository } from '../repository/open-repository.ts'
import { FileIdentity } from './file-identity.ts'

const KnownBackup = z.strictObject({
  version: z.literal(1),
  backup: z.string(),
  /** By the names of the files in the backup; of those that could be told. */
  files: z.record(z.string(), FileIdentity),
})
export type KnownBackup = z.infer<typeof KnownBackup>

/** What is known here of the last backup of something. Derived: without it, files are read. */
export interface KnownSources {
  last(): Promise<KnownBackup | undefined>
  keep(known: Omit<KnownBackup, 'version'>): Promise<void>
}

interface Source {
  readonly repository: Pick<Repository, 'target' | 'keys'>
  readonly kind: string
  readonly name: string
}

export function openKnownSources(layout: DataLayout, { repository, kind, name }: Source): KnownSources {
  const of = JSON.stringify([repository.target.url, repository.keys.keyId, kind, name])
  const path = layout.backupSource(createHash('sha256').update(of).digest('hex').slice(0, 32))
  return {
    async last() {
      try {
        return await readRecord(path, KnownBackup)
      } catch (error) {
        if (!isProblem(error, 'RECORD_INVALID')) throw error
        await rm(path, { force: true })
        return undefined
      }
    },
    async keep(known) {
      await mkdir(layout.backupSources, { recursive: true, mode: 0o700 })
      await writeRecord(path, { version: 1, ...known } satisfies KnownBackup)
    },
  }
}
