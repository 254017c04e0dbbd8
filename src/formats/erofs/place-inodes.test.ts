import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findPlace, mostFrequentTime } from './place-inodes.ts'
import { blockSize, type TreeNode } from './tree.ts'

describe('findPlace', () => {
  test('a tail that would just start the next block moves the inode: kernels up to 5.10 refuse it otherwise', () => {
    // A header of 64 bytes at 4032 ends exactly at the block's edge.
    expect(findPlace({ end: 4032, core: 64, header: 64, bodyBytes: 10 })).toEqual({ offset: 4096, inlineTail: true })
    expect(findPlace({ end: 4032, core: 64, header: 64, bodyBytes: 0 })).toEqual({ offset: 4032, inlineTail: false })
  })

  test('a fixed part does not cross a block', () => {
    expect(findPlace({ end: 4064, core: 64, header: 64, bodyBytes: 0 })).toEqual({ offset: 4096, inlineTail: false })
    expect(findPlace({ end: 4064, core: 32, header: 32, bodyBytes: 0 })).toEqual({ offset: 4064, inlineTail: false })
  })

  test('a tail that nearly fills a block gets a block of its own rather than a large gap', () => {
    expect(findPlace({ end: 2048, core: 64, header: 64, bodyBytes: 4000 })).toEqual({ offset: 2048, inlineTail: false })
    expect(findPlace({ end: 4000, core: 64, header: 64, bodyBytes: 4000 })).toEqual({ offset: 4096, inlineTail: true })
  })

  test('exact blocks have no tail, and a tail too long to share a block with a header is not inlined', () => {
    expect(findPlace({ end: 1152, core: 64, header: 64, bodyBytes: 8192 }).inlineTail).toBe(false)
    expect(findPlace({ end: 4096, core: 64, header: 64, bodyBytes: 4033 }).inlineTail).toBe(false)
    expect(findPlace({ end: 4096, core: 64, header: 64, bodyBytes: 4032 }).inlineTail).toBe(true)
  })

  test('every place keeps to the rules', () => {
    const cases = fc.record({
      end: fc.integer({ min: 1152, max: 20_000 }),
      core: fc.constantFrom(32, 64),
      xattrs: fc.oneof(
        fc.constant(0),
        fc.integer({ min: 4, max: 5000 }).map((words) => words * 4),
      ),
      bodyBytes: fc.nat({ max: 9000 }),
    })
    fc.assert(
      fc.property(cases, ({ end, core, xattrs, bodyBytes }) => {
        const header = core + xattrs
        const { offset, inlineTail } = findPlace({ end, core, header, bodyBytes })
        const tail = bodyBytes % blockSize
        expect(offset).toBeGreaterThanOrEqual(end)
        expect(offset % 32).toBe(0)
        expect(blockOf(offset)).toBe(blockOf(offset + core - 1))
        if (inlineTail) {
          expect(tail).toBeGreaterThan(0)
          expect(blockOf(offset + header + tail - 1)).toBe(blockOf(offset + header - 1))
          expect(offset - end).toBeLessThan(blockSize)
        } else {
          expect(offset - end).toBeLessThan(64)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

test('the epoch is the most frequent time, and of several the earliest', () => {
  const nodes = (times: [number, number][]) =>
    times.map(([mtimeSeconds, mtimeNanoseconds]) => ({ node: { mtimeSeconds, mtimeNanoseconds } as TreeNode }))
  expect(
    mostFrequentTime(
      nodes([
        [5, 0],
        [7, 1],
        [7, 1],
      ]),
    ),
  ).toEqual({ epochSeconds: 7, epochNanoseconds: 1 })
  expect(
    mostFrequentTime(
      nodes([
        [7, 1],
        [7, 0],
        [5, 9],
        [-3, 5],
      ]),
    ),
  ).toEqual({ epochSeconds: -3, epochNanoseconds: 5 })
})

function blockOf(position: number): number {
  return Math.floor(position / blockSize)
}
