import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backupKey } from '../keys/backup-key.ts'
import { RepositoryKeys } from '../keys/repository-keys.ts'
import { type ChunkKind, chunkBytes } from './chunk.ts'
import { BackupManifest } from './manifest.ts'
import { decodePackTable, openPackedChunk, PackBuilder, packBytes, packTailBytes } from './pack.ts'
import { decodePackIndex, encodePackIndex } from './pack-index.ts'
import { decodeRegionMap, encodeRegionMap, regionChunks } from './region-map.ts'
import { openObject, sealObject } from './sealed-object.ts'

const keys = new RepositoryKeys(backupKey(Buffer.alloc(32, 7)))
const otherKeys = new RepositoryKeys(backupKey(Buffer.alloc(32, 8)))

const content = fc.record({
  kind: fc.constantFrom<ChunkKind>('data', 'map'),
  compression: fc.constantFrom('none' as const, 'zstd' as const),
  bytes: fc.uint8Array({ maxLength: 300 }),
})
const contents = fc.array(content, { minLength: 1, maxLength: 12 })

describe('a pack', () => {
  test('gives back what was added, in its order, from its bytes and its table alone', () => {
    fc.assert(
      fc.property(contents, (chunks) => {
        const { table, bytes } = build(chunks)
        expect(bytes.length).toBe(packBytes(table))
        const tail = tailOf(bytes)
        expect(decodePackTable(keys, table.pack, tail)).toEqual(table)
        expect(openAll(table, bytes)).toEqual(chunks.map((chunk) => Buffer.from(chunk.bytes)))
      }),
    )
  })

  test('of which a byte is another gives nothing of that chunk, or no table, and never other bytes', () => {
    fc.assert(
      fc.property(contents, fc.nat(), fc.integer({ min: 1, max: 255 }), (chunks, where, change) => {
        const { table, bytes } = build(chunks)
        const changed = Buffer.from(bytes)
        const at = where % bytes.length
        changed[at] = (changed[at] ?? 0) ^ change
        const opened = openAll(table, changed)
        for (const [index, chunk] of chunks.entries()) {
          expect([undefined, Buffer.from(chunk.bytes)]).toContainEqual(opened[index])
        }
        const tail = packTailBytes(changed) === packTailBytes(bytes) ? tailOf(changed) : undefined
        const read = tail && decodePackTable(keys, table.pack, tail)
        expect([undefined, table]).toContainEqual(read)
        // Each byte counts somewhere.
        expect(read === undefined || opened.includes(undefined)).toBe(true)
      }),
    )
  })

  test('gives no chunk for another, nor anything to who has another key', () => {
    const { table, bytes } = build([
      { kind: 'data', compression: 'none', bytes: Buffer.alloc(50, 1) },
      { kind: 'data', compression: 'none', bytes: Buffer.alloc(50, 2) },
    ])
    const [first, second] = [bytes.subarray(0, 66), bytes.subarray(66, 132)]
    expect(openPackedChunk(keys, table, { at: 0, sealed: second })).toBeUndefined()
    expect(openPackedChunk(keys, table, { at: 1, sealed: first })).toBeUndefined()
    expect(openPackedChunk(otherKeys, table, { at: 0, sealed: first })).toBeUndefined()
    expect(decodePackTable(otherKeys, table.pack, tailOf(bytes))).toBeUndefined()
    expect(bytes.includes(Buffer.alloc(16, 1))).toBe(false)
  })

  test('of the same content has no bytes in common with another: no key and no nonce comes back', () => {
    const same = [{ kind: 'data' as const, compression: 'none' as const, bytes: Buffer.alloc(4096, 3) }]
    const [one, two] = [build(same).bytes, build(same).bytes]
    const equal = one.subarray(0, 4096).filter((byte, at) => byte === two[at]).length
    // One of 256 by chance: 16; 100 has a chance of 10^-45.
    expect(equal).toBeLessThan(100)
  })

  test('reads no table from arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const end = Buffer.concat([bytes, Buffer.from('cowpack1')])
        for (const tail of [Buffer.from(bytes), end]) {
          const length = packTailBytes(tail)
          if (length !== undefined && length <= tail.length) {
            expect(decodePackTable(keys, 'ab'.repeat(16), tail.subarray(tail.length - length))).toBeUndefined()
          }
        }
      }),
    )
  })
})

test('ids are keyed, and tell data from maps', () => {
  const bytes = Buffer.from('the same')
  const ids = [keys.chunkId('data', bytes), keys.chunkId('map', bytes), otherKeys.chunkId('data', bytes)]
  expect(new Set(ids).size).toBe(3)
  expect(keys.chunkId('data', Buffer.from('the same'))).toBe(ids[0])
})

test('an index has the tables that were put into it, and none from damaged bytes', () => {
  fc.assert(
    fc.property(fc.array(contents, { maxLength: 4 }), fc.nat(), (packs, cut) => {
      const tables = packs.map((chunks) => build(chunks).table)
      const bytes = encodePackIndex(tables)
      expect(decodePackIndex(bytes)).toEqual(tables)
      const short = decodePackIndex(bytes.subarray(0, cut % (bytes.length + 1)))
      expect(
        short === undefined || tables.slice(0, short.length).every((table, at) => table.pack === short[at]?.pack),
      ).toBe(true)
    }),
    { numRuns: 50 },
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => void decodePackIndex(Buffer.from(bytes))))
})

test('a map of a region says which chunk is where', () => {
  const places = fc.uniqueArray(fc.nat(regionChunks - 1), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(places, (ats) => {
      const chunks = ats.sort((a, b) => a - b).map((at) => ({ at, id: randomBytes(32).toString('hex') }))
      const bytes = encodeRegionMap(chunks)
      expect(decodeRegionMap(bytes)).toEqual(chunks)
      expect(decodeRegionMap(bytes.subarray(1))).toBeUndefined()
      expect(decodeRegionMap(Buffer.concat([bytes, bytes]))).toBeUndefined()
    }),
    { numRuns: 50 },
  )
})

test('a sealed object opens under its own name and key only, and not when a byte of it is another', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (bytes, where) => {
      const sealed = sealObject(keys, 'backups/a', bytes)
      expect(openObject(keys, 'backups/a', sealed)?.equals(bytes)).toBe(true)
      expect(openObject(keys, 'backups/b', sealed)).toBeUndefined()
      expect(openObject(otherKeys, 'backups/a', sealed)).toBeUndefined()
      const at = where % sealed.length
      sealed[at] = (sealed[at] ?? 0) ^ 1
      expect(openObject(keys, 'backups/a', sealed)).toBeUndefined()
      expect(openObject(keys, 'backups/a', sealed.subarray(0, at))).toBeUndefined()
    }),
    { numRuns: 50 },
  )
})

test('a manifest has no file that leads elsewhere, no two of one name, and no region that is not in its file', () => {
  const file = { name: 'data.ext4', bytes: chunkBytes, data_bytes: 0, regions: [{ at: 0, map: 'a'.repeat(64) }] }
  const manifest = (...files: object[]) => ({
    version: 1,
    kind: 'volume',
    name: 'data',
    created_at: new Date(0).toISOString(),
    host: 'here',
    record: { any: 'thing' },
    files,
    added_bytes: 0,
  })
  const accepted = (...files: object[]) => BackupManifest.safeParse(manifest(...files)).success
  expect(accepted(file)).toBe(true)
  expect(accepted(file, { ...file, name: 'other' })).toBe(true)
  expect(accepted(file, file)).toBe(false)
  for (const name of ['../up', 'a/b', '', '.hidden', 'a\0b']) expect(accepted({ ...file, name })).toBe(false)
  expect(accepted({ ...file, regions: [{ at: 1, map: 'a'.repeat(64) }] })).toBe(false)
  expect(accepted({ ...file, regions: [...file.regions, ...file.regions] })).toBe(false)
})

type Content = { kind: ChunkKind; compression: 'none' | 'zstd'; bytes: Uint8Array }

function build(chunks: readonly Content[]) {
  const builder = new PackBuilder(keys)
  for (const { kind, compression, bytes } of chunks) {
    builder.add(bytes, { id: keys.chunkId(kind, bytes), kind, compression, plainBytes: bytes.length })
  }
  return builder.finish()
}

function tailOf(pack: Buffer): Buffer {
  return pack.subarray(pack.length - (packTailBytes(pack) ?? 0))
}

function openAll(table: ReturnType<typeof build>['table'], bytes: Buffer): (Buffer | undefined)[] {
  let offset = 0
  return table.chunks.map(({ storedBytes }, at) => {
    const sealed = bytes.subarray(offset, offset + storedBytes)
    offset += storedBytes
    return openPackedChunk(keys, table, { at, sealed })
  })
}
