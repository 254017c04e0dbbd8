import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestOf } from '../../base/index.ts'
import { addToTrace, leavesOf } from '../../formats/index.ts'
import { replayWindows } from './replay-windows.ts'

const none = { chunkIndex: digestOf('index'), boots: 0, runs: [] }

test('windows have every leaf of a trace, no leaf twice, and little between', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({ max: 5000 }), { maxLength: 400 }), (touched) => {
      const windows = replayWindows(addToTrace(none, touched))
      const leaves = leavesOf({ runs: windows })
      expect(new Set(leaves).size).toBe(leaves.length)
      expect(touched.filter((leaf) => !leaves.includes(leaf))).toEqual([])
      expect(leaves.length).toBeLessThanOrEqual(3 * touched.length)
      expect(windows.every(({ count }) => count >= 1 && count <= 64)).toBe(true)
    }),
  )
})

test('neighbours come together, in the place of the one that is read first', () => {
  const windows = replayWindows(addToTrace(none, [500, 103, 10, 11, 100, 600]))
  expect(windows).toEqual([
    { first: 500, count: 1 },
    { first: 100, count: 4 },
    { first: 10, count: 2 },
    { first: 600, count: 1 },
  ])
})

test('a long run is cut into requests of 4 MiB', () => {
  const windows = replayWindows(addToTrace(none, [...Array(150).keys()]))
  expect(windows.map(({ first, count }) => [first, count])).toEqual([
    [0, 64],
    [64, 64],
    [128, 22],
  ])
})
