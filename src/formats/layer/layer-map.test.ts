import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestOf, isProblem } from '../../base/index.ts'
import { decodeLayerMap, encodeLayerMap, type LayerMap, type MappedContent } from './index.ts'

const dataBlocks = 100_000
const extent = fc.oneof(
  fc.record({ length: fc.integer({ min: 1, max: 4096 }), blocks: fc.constant(1), raw: fc.constant(true) }),
  fc.record({
    length: fc.integer({ min: 1, max: 2 ** 20 }),
    blocks: fc.integer({ min: 1, max: 16 }),
    raw: fc.constant(false),
  }),
)
const content: fc.Arbitrary<MappedContent> = fc.oneof(
  fc.record({ kind: fc.constant('blocks' as const), startBlock: fc.nat(1000) }),
  fc.tuple(fc.nat(1000), fc.array(extent, { minLength: 1, maxLength: 30 })).map(([startBlock, extents]) => ({
    kind: 'compressed' as const,
    startBlock,
    blocks: extents.reduce((sum, { blocks }) => sum + blocks, 0),
    extents,
  })),
)
const maps: fc.Arbitrary<LayerMap> = fc.record({
  diffId: fc.string().map((text) => digestOf(text)),
  dataBlocks: fc.constant(dataBlocks),
  contents: fc.array(fc.tuple(fc.maxSafeNat(), content), { maxLength: 20 }).map((contents) => new Map(contents)),
})

test('a layer map reads back as it was written, however often', () => {
  fc.assert(
    fc.property(maps, (written) => {
      const { contents, ...rest } = decodeLayerMap(encodeLayerMap(written))
      const asArrays = () => Array.from(contents, ([at, found]) => [at, withArray(found)])
      expect(asArrays()).toEqual([...written.contents])
      expect(asArrays()).toEqual([...written.contents])
      expect(rest).toEqual({ diffId: written.diffId, dataBlocks })
    }),
  )
})

test('a layer map with any byte changed or cut off is refused', () => {
  fc.assert(
    fc.property(maps, fc.nat(), fc.integer({ min: 1, max: 255 }), (written, at, flip) => {
      const bytes = encodeLayerMap(written)
      const changed = Buffer.from(bytes)
      changed[at % bytes.length] = (changed[at % bytes.length] ?? 0) ^ flip
      for (const bad of [bytes.subarray(0, at % bytes.length), changed, Buffer.concat([bytes, Buffer.alloc(1)])]) {
        expect(() => decodeLayerMap(bad)).toThrow(expect.objectContaining({ code: 'LAYER_INVALID' }))
      }
    }),
  )
})

test('a layer map made by an enemy with a right checksum gives extents inside the blob or a Problem', () => {
  fc.assert(
    fc.property(maps, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 8 }), (written, at, garbage) => {
      const bytes = encodeLayerMap(written)
      const body = bytes.subarray(0, bytes.length - 32)
      body.set(garbage, Math.min(at % body.length, body.length - garbage.length))
      createHash('sha256').update(body).digest().copy(bytes, body.length)
      try {
        const decoded = decodeLayerMap(bytes)
        for (const found of decoded.contents.values()) {
          if (found.kind !== 'compressed') continue
          expect(found.startBlock + found.blocks).toBeLessThanOrEqual(decoded.dataBlocks)
          expect([...found.extents].reduce((sum, { blocks }) => sum + blocks, 0)).toBe(found.blocks)
        }
      } catch (error) {
        if (!isProblem(error, 'LAYER_INVALID')) throw error
      }
    }),
  )
})

function withArray(content: MappedContent) {
  return content.kind === 'blocks' ? content : { ...content, extents: [...content.extents] }
}
