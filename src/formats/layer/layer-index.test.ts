import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf, isProblem } from '../../base/index.ts'
import { decodeLayerIndex, encodeLayerIndex, type LayerEntry } from './index.ts'

const dataBlocks = 1000

const byteString = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
const integer = fc.maxSafeNat()
const attributes = fc.record({
  path: byteString,
  mode: fc.nat(0o7777),
  uid: fc.nat(0xffffffff),
  gid: fc.nat(0xffffffff),
  mtimeSeconds: fc.maxSafeInteger(),
  mtimeNanoseconds: fc.nat(999_999_999),
  xattrs: fc.array(fc.record({ name: byteString.map((bytes) => bytes.toString('latin1')), value: byteString }), {
    maxLength: 3,
  }),
})
const inline = byteString.map((bytes) => ({
  type: 'file' as const,
  size: bytes.length,
  content: { kind: 'inline' as const, bytes },
}))
const onBlocks = fc.record({
  type: fc.constant('file' as const),
  size: fc.nat(900 * 4096),
  content: fc.record({
    kind: fc.constant('blocks' as const),
    startBlock: fc.nat(100),
    sha256: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
  }),
})
const link = fc.record({ type: fc.constantFrom('hardlink' as const, 'symlink' as const), linkTarget: byteString })
const device = fc.record({ type: fc.constantFrom('char' as const, 'block' as const), major: integer, minor: integer })
const plain = fc.record({ type: fc.constantFrom('directory' as const, 'fifo' as const) })
const entry: fc.Arbitrary<LayerEntry> = fc
  .tuple(attributes, fc.oneof(inline, onBlocks, link, device, plain))
  .map(([common, special]) => ({ ...common, ...special }))
const index = fc.record({
  diffId: fc.string().map((text) => digestOf(text)),
  dataBlocks: fc.constant(dataBlocks),
  warnings: fc.array(fc.string(), { maxLength: 3 }),
  entries: fc.array(entry, { maxLength: 20 }),
})

describe('a layer index', () => {
  test('reads back as it was written', () => {
    fc.assert(
      fc.property(index, (written) => {
        const { entries, ...rest } = decodeLayerIndex(encodeLayerIndex(written))
        expect([...entries]).toEqual(written.entries)
        expect(rest).toEqual({
          diffId: written.diffId,
          dataBlocks,
          warnings: written.warnings,
          entryCount: written.entries.length,
        })
      }),
    )
  })

  test('with any byte changed or cut off is refused', () => {
    fc.assert(
      fc.property(index, fc.nat(), fc.integer({ min: 1, max: 255 }), (written, at, flip) => {
        const bytes = encodeLayerIndex(written)
        const cut = bytes.subarray(0, at % bytes.length)
        const changed = Buffer.from(bytes)
        changed[at % bytes.length] = (changed[at % bytes.length] ?? 0) ^ flip
        for (const bad of [cut, changed, Buffer.concat([bytes, Buffer.alloc(1)])]) {
          expect(() => decodeLayerIndex(bad)).toThrow(expect.objectContaining({ code: 'LAYER_INVALID' }))
        }
      }),
    )
  })

  test('made by an enemy with a right checksum gives entries or a Problem, never anything else', () => {
    fc.assert(
      fc.property(index, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 8 }), (written, at, garbage) => {
        const bytes = encodeLayerIndex(written)
        const body = bytes.subarray(0, bytes.length - 32)
        body.set(garbage, Math.min(at % body.length, body.length - garbage.length))
        createHash('sha256').update(body).digest().copy(bytes, body.length)
        try {
          for (const found of decodeLayerIndex(bytes).entries) expect(found.path).toBeInstanceOf(Buffer)
        } catch (error) {
          if (!isProblem(error, 'LAYER_INVALID')) throw error
        }
      }),
    )
  })

  test('keeps a layer of many small entries small', () => {
    const entries = Array.from(
      { length: 50_000 },
      (_, number): LayerEntry => ({
        path: Buffer.from(`usr/share/doc/package-${number}/copyright`),
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtimeSeconds: 1_700_000_000,
        mtimeNanoseconds: 0,
        xattrs: [],
        type: 'directory',
      }),
    )
    const bytes = encodeLayerIndex({ diffId: digestOf('x'), dataBlocks: 0, warnings: [], entries })
    expect(bytes.length).toBeLessThan(50_000 * 60)
    expect([...decodeLayerIndex(bytes).entries]).toEqual(entries)
  })
})
