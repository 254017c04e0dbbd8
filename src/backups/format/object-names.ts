import { randomBytes } from 'node:crypto'

/** Every name in a repository. docs/backups.md describes them. */
export const objectNames = {
  /** Says that this is a repository, and which key opens it. Written first, and never again. */
  repository: 'cowshed-backups.json',
  packs: 'packs/',
  pack: (id: string) => `packs/${id.slice(0, 2)}/${id}`,
  indexes: 'indexes/',
  index: (id: string) => `indexes/${id}`,
  backups: 'backups/',
  backup: (id: string) => `backups/${id}`,
  locks: 'locks/',
  lock: (kind: 'shared' | 'exclusive', id: string) => `locks/${kind}-${id}`,
}

/** The last part of a name. */
export function idIn(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

/** Ids of backups are in the order in which they were made, as far as clocks agree, and tell nothing of what is in them. */
export function newBackupId(now: Date): string {
  const time = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').toLowerCase()
  return `${time}-${randomBytes(4).toString('hex')}`
}

export function isBackupId(text: string): boolean {
  return /^\d{8}t\d{6}-[0-9a-f]{8}$/.test(text)
}
