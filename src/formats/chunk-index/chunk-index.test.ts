import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf, isProblem } from '../../base/index.ts'
import {
  type ChunkIndex,
  chunkMap,
  decodeChunkIndex,
  decodeStoredPart,
  encodeChunkIndex,
  encodeStoredPart,
  leafBytes,
  leafHashBytes,
  type StoredPart,
} from './index.ts'

const chunk = fc.record({ blocks: fc.integer({ min: 1, max: 256 }), stored: fc.integer({ min: 1, max: 5000 }) })
const part: fc.Arbitrary<StoredPart> = fc
  .record({ seed: fc.string(), chunks: fc.array(chunk, { minLength: 1, maxLength: 30 }) })
  .map(({ seed, chunks }) => ({
    digest: digestOf(seed),
    lengths: Uint32Array.from(chunks, ({ blocks }) => blocks * 4096),
    storedLengths: Uint32Array.from(chunks, ({ stored }) => stored),
  }))
const index: fc.Arbitrary<ChunkIndex> = fc
  .record({
    writerVersion: fc.nat(1000),
    profile: fc.constantFrom('plain', 'lz4'),
    parts: fc.array(part, { minLength: 1, maxLength: 6 }),
    fill: fc.nat(255),
  })
  .map(({ fill, ...rest }) => {
    const leaves = Math.ceil(lowerBytes(rest.parts) / leafBytes)
    return { ...rest, leaves: Buffer.alloc(leaves * leafHashBytes, fill) }
  })

describe('a chunk index', () => {
  test('reads back as it was written, and the same index is the same bytes', () => {
    fc.assert(
      fc.property(index, (written) => {
        const bytes = encodeChunkIndex(written)
        expect(decodeChunkIndex(bytes)).toEqual(written)
        expect(encodeChunkIndex(decodeChunkIndex(bytes)).equals(bytes)).toBe(true)
      }),
    )
  })

  test('bytes of any kind give an index that is consistent, or a problem', () => {
    const mutated = fc
      .tuple(index, fc.nat(), fc.uint8Array({ maxLength: 8 }), fc.nat())
      .map(([value, at, splice, cut]) => {
        const bytes = encodeChunkIndex(value)
        const from = at % bytes.length
        return Buffer.concat([bytes.subarray(0, from), splice, bytes.subarray(from + (cut % 12))])
      })
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 300 }).map(Buffer.from)), (bytes) => {
        const decoded = outcome(() => decodeChunkIndex(bytes))
        if (decoded === undefined) return
        const bytesInAll = lowerBytes(decoded.parts)
        expect(decoded.leaves.length).toBe(Math.ceil(bytesInAll / leafBytes) * leafHashBytes)
        expect(chunkMap(decoded).locate(0, bytesInAll).length).toBe(
          decoded.parts.reduce((sum, { lengths }) => sum + lengths.length, 0),
        )
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    ['another version', (bytes: Buffer) => bytes.writeUInt32LE(2, 8), 'IMAGE_UNSUPPORTED'],
    ['another start', (bytes: Buffer) => bytes.writeUInt8(0, 0), 'CHUNK_INDEX_INVALID'],
    ['more chunks than there are bytes', (bytes: Buffer) => bytes.fill(0xff, 56, 60), 'CHUNK_INDEX_INVALID'],
  ])('%s is refused', (_, change, code) => {
    const bytes = encodeChunkIndex(sample())
    change(bytes)
    expect(() => decodeChunkIndex(bytes)).toThrow(expect.objectContaining({ code }))
  })

  test('a leaf too few, or a byte too many, is refused', () => {
    const bytes = encodeChunkIndex(sample())
    for (const wrong of [bytes.subarray(0, -32), bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.alloc(1)])]) {
      expect(() => decodeChunkIndex(wrong)).toThrow(expect.objectContaining({ code: 'CHUNK_INDEX_INVALID' }))
    }
  })

  test('the version that is written stays what it is', () => {
    expect(encodeChunkIndex(sample()).toString('hex')).toBe(
      // magic, version 1; writer 1, "plain", 65536; 2 parts: sha256, chunks (blocks, stored bytes)…; 2 leaves
      `43534348554e4b53${'01000000'}0105706c61696e80800402${digestOf('a').slice(7)}010105${digestOf('b').slice(7)}0210c80101ff01${'11'.repeat(64)}`,
    )
  })
})

test('one part reads back by itself', () => {
  fc.assert(
    fc.property(part, (written) => {
      expect(decodeStoredPart(encodeStoredPart(written))).toEqual(written)
    }),
  )
  expect(() =>
    decodeStoredPart(Buffer.concat([encodeStoredPart(sample().parts[0] as StoredPart), Buffer.alloc(1)])),
  ).toThrow(expect.objectContaining({ code: 'CHUNK_INDEX_INVALID' }))
})

describe('chunks are found by their place', () => {
  test('exactly those that hold a byte of the range, in order', () => {
    fc.assert(
      fc.property(index, fc.nat(), fc.nat(), (value, a, b) => {
        const map = chunkMap(value)
        const offset = a % map.lowerBytes
        const length = b % (map.lowerBytes - offset + 1)
        const all = map.locate(0, map.lowerBytes)
        const expected = all.filter((one) => one.offset < offset + length && one.offset + one.length > offset)
        expect(map.locate(offset, length)).toEqual(length === 0 ? [] : expected)
      }),
    )
  })

  test('they cover the lower and each blob without a gap', () => {
    fc.assert(
      fc.property(index, (value) => {
        const map = chunkMap(value)
        let at = 0
        const storedAt = new Map<number, number>()
        for (const { part: number, offset, length, storedOffset, storedLength } of map.locate(0, map.lowerBytes)) {
          expect([offset, storedOffset]).toEqual([at, storedAt.get(number) ?? 0])
          at += length
          storedAt.set(number, storedOffset + storedLength)
        }
        expect(at).toBe(map.lowerBytes)
      }),
    )
  })

  test('a range outside of the lower is a mistake of the caller', () => {
    expect(() => chunkMap(sample()).locate(0, 2 ** 30)).toThrow(expect.objectContaining({ code: 'INTERNAL' }))
  })
})

function sample(): ChunkIndex {
  const [a, b] = [digestOf('a'), digestOf('b')]
  return {
    writerVersion: 1,
    profile: 'plain',
    parts: [
      { digest: a, lengths: Uint32Array.of(4096), storedLengths: Uint32Array.of(5) },
      { digest: b, lengths: Uint32Array.of(65536, 4096), storedLengths: Uint32Array.of(200, 255) },
    ],
    leaves: Buffer.alloc(64, 0x11),
  }
}

function lowerBytes(parts: readonly StoredPart[]): number {
  return parts.reduce((sum, { lengths }) => sum + lengths.reduce((a, b) => a + b, 0), 0)
}

function outcome<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (isProblem(error)) return undefined
    throw error
  }
}
