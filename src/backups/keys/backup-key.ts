import { createHash, hkdfSync, randomBytes } from 'node:crypto'
import { Problem } from '../../base/index.ts'

/** The secret that backups are sealed with. Whoever has it, and what is stored, has the data. */
export interface BackupKey {
  /** Names the key and tells nothing of it: 32 hex digits. */
  readonly id: string
  /** 32 bytes. */
  readonly secret: Buffer
}

const prefix = 'cowshed-backup-key-1'
const secretBytes = 32

export function newBackupKey(): BackupKey {
  return backupKey(randomBytes(secretBytes))
}

export function backupKey(secret: Buffer): BackupKey {
  return { id: deriveBytes(secret, 'key id', 16).toString('hex'), secret }
}

/** A key as people keep it: one line, with a sum that notices a typing error. */
export function formatBackupKey({ secret }: BackupKey): string {
  return `${prefix}:${secret.toString('hex')}:${checkSum(secret)}`
}

/** @throws Problem BACKUP_KEY_INVALID, which shows nothing of the text */
export function parseBackupKey(text: string): BackupKey {
  const [, secretHex, sum] = new RegExp(`^${prefix}:([0-9a-f]{64}):([0-9a-f]{8})$`).exec(text.trim()) ?? []
  if (secretHex === undefined) throw invalid('it is not of the form that `backup key show` prints')
  const secret = Buffer.from(secretHex, 'hex')
  if (checkSum(secret) !== sum) throw invalid('a character of it is wrong')
  return backupKey(secret)
}

/** Bytes that follow from a secret and a purpose: knowing some of them tells nothing of the others. @see RFC 5869 (HKDF) */
export function deriveBytes(
  secret: Buffer,
  purpose: string,
  length: number,
  salt: Uint8Array = Buffer.alloc(0),
): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, `cowshed backup 1 ${purpose}`, length))
}

function checkSum(secret: Buffer): string {
  return createHash('sha256').update(`${prefix} sum`).update(secret).digest('hex').slice(0, 8)
}

function invalid(why: string): Problem {
  return new Problem('BACKUP_KEY_INVALID', `not a backup key: ${why}`, {
    hint: 'give the whole line that `cowshed backup key show` printed, on standard input',
  })
}
