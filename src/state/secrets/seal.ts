import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { z } from 'zod'
import { Problem } from '../../base/index.ts'

/** A value that only whoever has the key can read, and that nobody without it can change, or pass off as another one's. */
export const Sealed = z.object({
  algorithm: z.literal('aes-256-gcm'),
  /** Base64, of 12 bytes: never twice with one key. */
  nonce: z.base64(),
  ciphertext: z.base64(),
  /** Base64, of 16 bytes. */
  tag: z.base64(),
})
export type Sealed = z.infer<typeof Sealed>

export const keyBytes = 32
const nonceBytes = 12
const tagBytes = 16

export interface SealWith {
  readonly key: Buffer
  /** Whose value it is: sealed for one name, it opens under no other. */
  readonly name: string
}

/** @see NIST SP 800-38D */
export function seal(value: Buffer, { key, name }: SealWith): Sealed {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
  cipher.setAAD(contextOf(name))
  const ciphertext = Buffer.concat([cipher.update(value), cipher.final()])
  return {
    algorithm: 'aes-256-gcm',
    nonce: nonce.toString('base64'),
    ciphertext: ciphertext.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
  }
}

/** @throws Problem RECORD_INVALID when it was sealed with another key, for another name, or was changed since */
export function unseal(sealed: Sealed, { key, name }: SealWith): Buffer {
  const [nonce, ciphertext, tag] = [sealed.nonce, sealed.ciphertext, sealed.tag].map((each) =>
    Buffer.from(each, 'base64'),
  )
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce ?? Buffer.alloc(0), { authTagLength: tagBytes })
    decipher.setAAD(contextOf(name))
    decipher.setAuthTag(tag ?? Buffer.alloc(0))
    return Buffer.concat([decipher.update(ciphertext ?? Buffer.alloc(0)), decipher.final()])
  } catch (cause) {
    throw new Problem(
      'RECORD_INVALID',
      `the secret ${name} cannot be read: it was not sealed with this key, or was changed`,
      {
        hint: `set it again: cowshed secret set ${name}`,
        cause,
      },
    )
  }
}

function contextOf(name: string): Buffer {
  return Buffer.from(`cowshed secret 1\0${name}`)
}
