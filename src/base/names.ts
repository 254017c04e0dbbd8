import { randomBytes } from 'node:crypto'
import { Problem } from './problem.ts'

/**
 * Checks the name of a shed, a snapshot or a volume: it is a directory name and a host name at once.
 *
 * @throws Problem INVALID_REQUEST
 */
export function parseName(text: string, noun = 'name'): string {
  if (!isName(text)) {
    throw new Problem('INVALID_REQUEST', `not a valid ${noun}: ${JSON.stringify(text.slice(0, 80))}`, {
      hint: 'use 1 to 63 of a-z, 0-9 and -, starting and ending with a letter or digit',
    })
  }
  return text
}

/** Whether a shed, a snapshot or a volume can be called so. */
export function isName(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text)
}

/** A short unique id: 12 hex digits. */
export function newId(): string {
  return randomBytes(6).toString('hex')
}
