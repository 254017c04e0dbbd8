import { createCipheriv, createDecipheriv } from 'node:crypto'

export const saltBytes = 32
export const tagBytes = 16

interface Sealing {
  /** The number of the message within its object: never used twice, and it is the nonce. */
  readonly at: number
  /** What the message is bound to. */
  readonly context: Uint8Array
}

/**
 * AES-256-GCM under a key that belongs to one object alone: the object's salt is 256 random bits, so that no key comes back, and within the object
 * messages are counted, so that no nonce does. A backup that is killed and begun anew takes new salts.
 *
 * @see NIST SP 800-38D, section 8.2.1 (deterministic construction of the nonce)
 */
export class ObjectCipher {
  readonly #key: Buffer

  constructor(key: Buffer) {
    this.#key = key
  }

  /** What goes in, encrypted, with the tag after it. */
  seal(content: Uint8Array, { at, context }: Sealing): Buffer {
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce(at))
    cipher.setAAD(context)
    return Buffer.concat([cipher.update(content), cipher.final(), cipher.getAuthTag()])
  }

  /** @returns undefined when it is not what was sealed there */
  open(sealed: Buffer, { at, context }: Sealing): Buffer | undefined {
    if (sealed.length < tagBytes) return undefined
    const end = sealed.length - tagBytes
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce(at), { authTagLength: tagBytes })
    decipher.setAAD(context)
    decipher.setAuthTag(sealed.subarray(end))
    const content = decipher.update(sealed.subarray(0, end))
    try {
      return Buffer.concat([content, decipher.final()])
    } catch {
      return undefined
    }
  }
}

function nonce(at: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt32BE(at, 8)
  return bytes
}
