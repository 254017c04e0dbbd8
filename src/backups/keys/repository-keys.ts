import { createHmac } from 'node:crypto'
import type { ChunkKind } from '../format/chunk.ts'
import { ObjectCipher } from '../format/object-cipher.ts'
import { type BackupKey, deriveBytes } from './backup-key.ts'

/** What one key does for a repository. */
export class RepositoryKeys {
  readonly keyId: string
  readonly #idKeys: Readonly<Record<ChunkKind, Buffer>>
  readonly #sealKey: Buffer

  constructor({ id, secret }: BackupKey) {
    this.keyId = id
    this.#idKeys = { data: deriveBytes(secret, 'id of data', 32), map: deriveBytes(secret, 'id of a map', 32) }
    this.#sealKey = deriveBytes(secret, 'seal', 32)
  }

  /** The name of a content, 64 hex digits. It is keyed: a store that knows a content cannot see whether it is here. */
  chunkId(kind: ChunkKind, content: Uint8Array): string {
    return createHmac('sha256', this.#idKeys[kind]).update(content).digest('hex')
  }

  /** The cipher of one object, whose salt nobody uses again. */
  cipher(salt: Uint8Array): ObjectCipher {
    return new ObjectCipher(deriveBytes(this.#sealKey, 'object', 32, salt))
  }
}
