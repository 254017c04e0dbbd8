import { randomBytes } from 'node:crypto'
import type { RepositoryKeys } from '../keys/repository-keys.ts'
import { saltBytes } from './object-cipher.ts'

const magic = Buffer.from('cowseal1')

/** A whole object under lock, bound to its name: a store that gives out one for another is noticed. */
export function sealObject(keys: RepositoryKeys, name: string, content: Uint8Array): Buffer {
  const salt = randomBytes(saltBytes)
  return Buffer.concat([magic, salt, keys.cipher(salt).seal(content, { at: 0, context: Buffer.from(name) })])
}

/** @returns undefined when it is not what was sealed under that name */
export function openObject(keys: RepositoryKeys, name: string, bytes: Buffer): Buffer | undefined {
  const start = magic.length + saltBytes
  if (bytes.length < start || !bytes.subarray(0, magic.length).equals(magic)) return undefined
  const cipher = keys.cipher(bytes.subarray(magic.length, start))
  return cipher.open(bytes.subarray(start), { at: 0, context: Buffer.from(name) })
}
