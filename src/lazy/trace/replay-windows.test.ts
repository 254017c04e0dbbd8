import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestOf } from '../../base/index.ts'
import { addToTrace, chunkMap, leafBytes, leavesOf } from '../../formats/index.ts'
import { replayWindows } from './replay-windows.ts'

const none = { chunkIndex: digestOf('index'), boots: 0, runs: [] }
/** Of 6000 leaves, in chunks of so many each. */
const lowerOf = (leaves: number) => {
  const lengths = new Uint32Array(6000 / leaves).fill(leaves * leafBytes)
  const part = { digest: digestOf('part'), lengths, storedLengths: lengths }
  return chunkMap({ writerVersion: 2, profile: 'plain', parts: [part], leaves: Buffer.alloc(0) })
}
const small = lowerOf(1)

test('windows have every leaf of a trace, no leaf twice, and little between', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({ max: 5000 }), { maxLength: 400 }), (touched) => {
      const windows = replayWindows(addToTrace(none, touched), small)
      const leaves = leavesOf({ runs: windows })
      expect(new Set(leaves).size).toBe(leaves.length)
      expect(touched.filter((leaf) => !leaves.includes(leaf))).toEqual([])
      expect(leaves.length).toBeLessThanOrEqual(3 * touched.length)
      expect(windows.every(({ count }) => count >= 1 && count <= 128)).toBe(true)
    }),
  )
})

test('neighbours come together, in the place of the one that is read first', () => {
  const windows = replayWindows(addToTrace(none, [500, 103, 10, 11, 100, 600]), small)
  expect(windows).toEqual([
    { first: 500, count: 1 },
    { first: 100, count: 4 },
    { first: 10, count: 2 },
    { first: 600, count: 1 },
  ])
})

test('what is in the same chunk comes together: it could not come alone', () => {
  const windows = replayWindows(addToTrace(none, [90, 15, 0, 16, 31, 70]), lowerOf(16))
  expect(windows).toEqual([
    { first: 90, count: 1 },
    { first: 0, count: 32 },
    { first: 70, count: 1 },
  ])
})

test('a long run is cut into requests of 8 MiB', () => {
  const windows = replayWindows(addToTrace(none, [...Array(300).keys()]), small)
  expect(windows.map(({ first, count }) => [first, count])).toEqual([
    [0, 128],
    [128, 128],
    [256, 44],
  ])
})
