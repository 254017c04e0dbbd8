import { randomBytes } from 'node:crypto'
import type { RepositoryKeys } from '../keys/repository-keys.ts'
import { decodePackedChunk, encodePackedChunk, type PackedChunk, packedChunkBytes } from './chunk.ts'
import { type ObjectCipher, saltBytes, tagBytes } from './object-cipher.ts'

/** What is in a pack, in the order of its bytes. */
export interface PackTable {
  /** The pack's name: 32 hex digits. */
  readonly pack: string
  readonly salt: Buffer
  readonly chunks: readonly PackedChunk[]
}

const magic = Buffer.from('cowpack1')
/** The salt, how many bytes the table has, the magic. */
export const packFooterBytes = saltBytes + 4 + magic.length
/** No pack has so many chunks: the table's place among the messages of a pack. */
const tableAt = 0xffff_ffff
/** Writers end a pack when it has grown to this. */
export const packTargetBytes = 16 << 20
export const maxChunksInPack = 1 << 16

/** Chunks on their way into one object of a store: thousands of chunks are tens of uploads. */
export class PackBuilder {
  readonly pack = randomBytes(16).toString('hex')
  readonly #salt = randomBytes(saltBytes)
  readonly #cipher: ObjectCipher
  readonly #pieces: Buffer[] = []
  readonly #chunks: PackedChunk[] = []
  #bytes = 0

  constructor(keys: RepositoryKeys) {
    this.#cipher = keys.cipher(this.#salt)
  }

  get isFull(): boolean {
    return this.#bytes >= packTargetBytes || this.#chunks.length >= maxChunksInPack
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0
  }

  /** @param content as it is stored: compressed, or as it is */
  add(content: Uint8Array, about: Omit<PackedChunk, 'storedBytes'>): void {
    const chunk = { ...about, storedBytes: content.length + tagBytes }
    this.#pieces.push(this.#cipher.seal(content, { at: this.#chunks.length, context: encodePackedChunk(chunk) }))
    this.#chunks.push(chunk)
    this.#bytes += chunk.storedBytes
  }

  finish(): { table: PackTable; bytes: Buffer } {
    const entries = Buffer.concat(this.#chunks.map(encodePackedChunk))
    const table = this.#cipher.seal(entries, { at: tableAt, context: magic })
    const length = Buffer.alloc(4)
    length.writeUInt32LE(table.length)
    return {
      table: { pack: this.pack, salt: this.#salt, chunks: this.#chunks },
      bytes: Buffer.concat([...this.#pieces, table, this.#salt, length, magic]),
    }
  }
}

/** How many bytes a pack of this table has: one that has others is not whole. */
export function packBytes({ chunks }: PackTable): number {
  const stored = chunks.reduce((sum, { storedBytes }) => sum + storedBytes, 0)
  return stored + chunks.length * packedChunkBytes + tagBytes + packFooterBytes
}

/** How many bytes of a pack's end hold its table. @param footer the last bytes of a pack @returns undefined when it is no pack */
export function packTailBytes(footer: Buffer): number | undefined {
  if (footer.length < packFooterBytes || !footer.subarray(-magic.length).equals(magic)) return undefined
  const length = footer.readUInt32LE(footer.length - magic.length - 4)
  const isTable = length >= tagBytes && (length - tagBytes) % packedChunkBytes === 0
  return isTable && length <= maxChunksInPack * packedChunkBytes + tagBytes ? length + packFooterBytes : undefined
}

/** Reads a pack's table. @param tail the end of the pack, as much as packTailBytes says @returns undefined when it is damaged */
export function decodePackTable(keys: RepositoryKeys, pack: string, tail: Buffer): PackTable | undefined {
  if (packTailBytes(tail) !== tail.length) return undefined
  const end = tail.length - packFooterBytes
  const salt = Buffer.from(tail.subarray(end, end + saltBytes))
  const entries = keys.cipher(salt).open(tail.subarray(0, end), { at: tableAt, context: magic })
  const chunks = entries === undefined ? undefined : decodeEntries(entries)
  return chunks === undefined ? undefined : { pack, salt, chunks }
}

export function decodeEntries(entries: Buffer): PackedChunk[] | undefined {
  const chunks: PackedChunk[] = []
  for (let at = 0; at < entries.length; at += packedChunkBytes) {
    const chunk = decodePackedChunk(entries.subarray(at, at + packedChunkBytes))
    if (chunk === undefined) return undefined
    chunks.push(chunk)
  }
  return chunks
}

/** What was added as the chunk `at` of a pack. @returns undefined when the bytes are not those */
export function openPackedChunk(
  keys: RepositoryKeys,
  { salt, chunks }: PackTable,
  { at, sealed }: { at: number; sealed: Buffer },
): Buffer | undefined {
  const chunk = chunks[at]
  return chunk && keys.cipher(salt).open(sealed, { at, context: encodePackedChunk(chunk) })
}
