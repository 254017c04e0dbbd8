import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { lastLiterals, matchFreeEnd } from './block-rules.ts'
import { decompressLz4, Lz4Compressor } from './index.ts'

/** Bytes with repeats near and far, runs, and noise between them. */
const inputs = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.tuple(fc.nat(255), fc.nat(70_000)).map(([byte, times]) => new Uint8Array(times).fill(byte)),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(300))
        .map(([unit, times]) => Buffer.concat(Array<Uint8Array>(times).fill(unit))),
    ),
    { maxLength: 8 },
  )
  .map((pieces) => Buffer.concat(pieces))
const limits = fc.oneof(fc.constantFrom(16, 17, 4096, 65_536), fc.integer({ min: 16, max: 5000 }))
const compressor = new Lz4Compressor(14)

describe('a block', () => {
  test('holds the beginning of the input that it says, as the reference ends blocks', () => {
    fc.assert(
      fc.property(inputs, limits, (input, limit) => {
        const { block, read } = compress(input, limit)
        expect(read).toBeGreaterThanOrEqual(Math.min(input.length, 12))
        const out = Buffer.alloc(read)
        expect(decompressLz4(block, out)).toBe(true)
        expect(out.equals(input.subarray(0, read))).toBe(true)
        const { literals, matchDistance } = endOf(block)
        if (matchDistance !== undefined) {
          expect(literals).toBeGreaterThanOrEqual(lastLiterals)
          expect(matchDistance).toBeGreaterThanOrEqual(matchFreeEnd)
        }
      }),
    )
  })

  test('does not depend on what was compressed before, nor on what surrounds the input', () => {
    fc.assert(
      fc.property(inputs, inputs, limits, (before, input, limit) => {
        const used = new Lz4Compressor(14)
        used.compress(before, 0, before.length, new Uint8Array(4096))
        const whole = Buffer.concat([before, input, before])
        const out = new Uint8Array(limit)
        const found = used.compress(whole, before.length, before.length + input.length, out)
        const { read, block } = compress(input, limit)
        expect(found).toEqual({ read, written: block.length })
        expect(out.subarray(0, found.written)).toEqual(new Uint8Array(block))
      }),
    )
  })

  test('stays the same when the table starts over', () => {
    const zeros = new Uint8Array(1 << 28)
    const used = new Lz4Compressor(14)
    const input = Buffer.from('abcabcabcabc'.repeat(100))
    const expected = compress(input, 4096).block
    for (let round = 0; round < 6; round++) {
      used.compress(zeros, 0, zeros.length, new Uint8Array(16))
      const out = Buffer.alloc(4096)
      const { written } = used.compress(input, 0, input.length, out)
      expect(out.subarray(0, written)).toEqual(expected)
    }
  })

  test('of a run is as small as it can be', () => {
    const { block, read } = compress(Buffer.alloc(1 << 20), 4096)
    expect(block.length).toBe(4096)
    expect(read).toBeGreaterThan(1_030_000)
  })
})

describe.runIf(needs({ tools: ['lz4'] }))('beside lz4(1)', () => {
  test('its decoder takes our blocks', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const { block } = compress(input, 2 * input.length + 64)
        const found = execFileSync('lz4', ['-dc', '-q'], { input: legacyFrame(block), maxBuffer: 1 << 26 })
        expect(found.equals(input)).toBe(true)
      }),
      { numRuns: 20 },
    )
  })

  test('we take its blocks', () => {
    fc.assert(
      fc.property(inputs, fc.constantFrom('-1', '-9'), (input, level) => {
        fc.pre(input.length > 0)
        const frame = execFileSync('lz4', ['-lc', level, '-q'], { input, maxBuffer: 1 << 26 })
        const out = Buffer.alloc(input.length)
        expect(decompressLz4(frame.subarray(8, 8 + frame.readUInt32LE(4)), out)).toBe(true)
        expect(out.equals(input)).toBe(true)
      }),
      { numRuns: 20 },
    )
  })
})

describe('a block that is not sound', () => {
  test('is refused, or fills its output, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(400), (block, size) => {
        expect(typeof decompressLz4(block, Buffer.alloc(size))).toBe('boolean')
      }),
    )
  })

  test('is refused when it was cut off or holds more or less', () => {
    fc.assert(
      fc.property(inputs, fc.nat(), (input, at) => {
        const { block, read } = compress(input, 4096)
        expect(decompressLz4(block.subarray(0, at % block.length), Buffer.alloc(read))).toBe(false)
        expect(decompressLz4(block, Buffer.alloc(read + 1))).toBe(false)
        if (read > 0) expect(decompressLz4(block, Buffer.alloc(read - 1))).toBe(false)
      }),
    )
  })

  test.each([
    ['nothing', []],
    ['an offset of 0', [0x10, 1, 0, 0, 0x00]],
    ['an offset before the start', [0x10, 1, 2, 0, 0x00]],
    ['a length without an end', [0xf0, 255, 255]],
  ])('such as %s', (_, bytes) => {
    expect(decompressLz4(Uint8Array.from(bytes), Buffer.alloc(5))).toBe(false)
  })
})

function compress(input: Buffer, limit: number): { block: Buffer; read: number } {
  const out = Buffer.alloc(limit)
  const { read, written } = compressor.compress(input, 0, input.length, out)
  return { block: out.subarray(0, written), read }
}

/** @see lz4_Frame_format.md, "Legacy frame" */
function legacyFrame(block: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(0x184c2102, 0)
  head.writeUInt32LE(block.length, 4)
  return Buffer.concat([head, block])
}

/** How many literals a sound block ends with, and how far before its end the last match starts. */
function endOf(block: Buffer): { literals: number; matchDistance?: number } {
  let match = 0
  for (let at = 0; ; ) {
    const token = block[at++] ?? 0
    const length = (nibble: number) => {
      let sum = nibble
      for (let more = nibble === 15 ? 255 : 0; more === 255; sum += more) more = block[at++] ?? 0
      return sum
    }
    const literals = length(token >> 4)
    at += literals
    if (at === block.length) return match === 0 ? { literals } : { literals, matchDistance: match + literals }
    at += 2
    match = length(token & 15) + 4
  }
}
