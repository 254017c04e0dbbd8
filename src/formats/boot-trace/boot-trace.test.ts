import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf, isProblem } from '../../base/index.ts'
import {
  addToTrace,
  type BootTrace,
  bootTraceLimits,
  decodeBootTrace,
  encodeBootTrace,
  isTraceName,
  leavesOf,
} from './index.ts'

const lower = { chunkIndex: digestOf('index'), leaves: 9000 }
const none: BootTrace = { chunkIndex: lower.chunkIndex, boots: 0, runs: [] }
const touches = fc.uniqueArray(fc.nat({ max: lower.leaves - 1 }), { maxLength: 300 })
const trace = touches.map((leaves) => addToTrace(none, leaves))

describe('a boot trace', () => {
  test('reads back as it was written, and the same trace is the same bytes', () => {
    fc.assert(
      fc.property(trace, (written) => {
        const bytes = encodeBootTrace(written)
        expect(decodeBootTrace(bytes, lower)).toEqual(written)
        expect(encodeBootTrace(decodeBootTrace(bytes, lower)).equals(bytes)).toBe(true)
      }),
    )
  })

  test('has what boots touched, each leaf once, in the order of the first touches', () => {
    fc.assert(
      fc.property(touches, touches, (first, second) => {
        const once = addToTrace(none, first)
        expect(leavesOf(once)).toEqual(first)
        const twice = addToTrace(once, second)
        expect(leavesOf(twice)).toEqual([...new Set([...first, ...second])])
        expect(twice.boots).toBe(2)
        expect(twice.runs.length).toBeLessThanOrEqual(leavesOf(twice).length)
      }),
    )
  })

  test('takes few bytes, and no more of a lower than a boot reads', () => {
    const all = addToTrace(none, [...Array(lower.leaves).keys()])
    expect(all.runs).toEqual([{ first: 0, count: bootTraceLimits.leaves }])
    expect(encodeBootTrace(all).length).toBeLessThan(60)
  })

  test('bytes of any kind give leaves of the lower, or a problem', () => {
    const mutated = fc
      .tuple(trace, fc.nat(), fc.uint8Array({ maxLength: 8 }), fc.nat())
      .map(([one, at, splice, cut]) => {
        const bytes = encodeBootTrace(one)
        const from = 44 + (at % (bytes.length - 44))
        return Buffer.concat([bytes.subarray(0, from), splice, bytes.subarray(from + (cut % 12))])
      })
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 300 }).map(Buffer.from)), (bytes) => {
        const decoded = outcome(() => decodeBootTrace(bytes, lower))
        if (decoded === undefined) return
        const leaves = leavesOf(decoded)
        expect(new Set(leaves).size).toBe(leaves.length)
        expect(leaves.every((leaf) => leaf >= 0 && leaf < lower.leaves)).toBe(true)
        expect(leaves.length).toBeLessThanOrEqual(bootTraceLimits.leaves)
      }),
      { numRuns: 2000 },
    )
  })

  const sample = addToTrace(none, [7, 8, 9, 2, 3])
  test.each<[string, BootTrace | Buffer, string]>([
    ['another version', changed((bytes) => bytes.writeUInt32LE(2, 8)), 'IMAGE_UNSUPPORTED'],
    ['another start', changed((bytes) => bytes.writeUInt8(0, 0)), 'BOOT_TRACE_INVALID'],
    ['more behind it', Buffer.concat([encodeBootTrace(sample), Buffer.alloc(1)]), 'BOOT_TRACE_INVALID'],
    ['half of it', encodeBootTrace(sample).subarray(0, -2), 'BOOT_TRACE_INVALID'],
    ['one of no boot', none, 'BOOT_TRACE_INVALID'],
    ['one of another lower', { ...sample, chunkIndex: digestOf('other') }, 'BOOT_TRACE_INVALID'],
    ['a leaf twice', { ...sample, runs: [...sample.runs, { first: 8, count: 1 }] }, 'BOOT_TRACE_INVALID'],
    ['a leaf beyond the end', { ...sample, runs: [{ first: lower.leaves, count: 1 }] }, 'BOOT_TRACE_INVALID'],
    ['a leaf before the beginning', { ...sample, runs: [{ first: -1, count: 1 }] }, 'BOOT_TRACE_INVALID'],
    ['an empty run', { ...sample, runs: [{ first: 5, count: 0 }] }, 'BOOT_TRACE_INVALID'],
    ['more than a boot reads', { ...sample, runs: [{ first: 0, count: 4097 }] }, 'BOOT_TRACE_INVALID'],
    ['too many bytes', Buffer.alloc(bootTraceLimits.bytes + 1), 'LIMIT_EXCEEDED'],
  ])('%s is refused', (_, wrong, code) => {
    const bytes = Buffer.isBuffer(wrong) ? wrong : encodeBootTrace(wrong)
    expect(() => decodeBootTrace(bytes, lower)).toThrow(expect.objectContaining({ code }))
  })

  test('the version that is written stays what it is', () => {
    const [magic, version, runs] = ['4353425452414345', '01000000', '0102000703010802']
    expect(encodeBootTrace(sample).toString('hex')).toBe(`${magic}${version}${lower.chunkIndex.slice(7)}${runs}`)
  })

  function changed(change: (bytes: Buffer) => void): Buffer {
    const bytes = encodeBootTrace(sample)
    change(bytes)
    return bytes
  }
})

test('what a trace may be called', () => {
  expect(['boot', 'web-1.2', '0'].map(isTraceName)).toEqual([true, true, true])
  expect(['', '.', '..', '-x', 'A', 'a/b', 'a b', 'a'.repeat(64)].some(isTraceName)).toBe(false)
})

function outcome<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (isProblem(error)) return undefined
    throw error
  }
}
