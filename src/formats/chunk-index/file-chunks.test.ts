import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fileChunks } from './index.ts'

const KiB = 1024

describe('a data blob is cut into chunks', () => {
  test('of 64 KiB to 1 MiB that cover it; only a blob that is smaller has a smaller one', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 60 }), (files) => {
        const { starts, blocks } = blobOf(files)
        const chunks = [...fileChunks(starts, blocks)]
        expect(chunks.reduce((a, b) => a + b, 0)).toBe(blocks * 4096)
        expect(Math.max(...chunks)).toBeLessThanOrEqual(1024 * KiB)
        expect(Math.min(...chunks)).toBeGreaterThanOrEqual(Math.min(64 * KiB, blocks * 4096))
      }),
    )
  })

  test('files of up to 256 KiB are whole in one chunk', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 100 }), (files) => {
        const { starts, blocks } = blobOf(files)
        const cuts = new Set<number>()
        let at = 0
        for (const length of fileChunks(starts, blocks)) {
          cuts.add(at / 4096)
          at += length
        }
        for (const cut of cuts) expect(starts).toContain(cut)
      }),
    )
  })

  test('small files go together, a large one is cut evenly', () => {
    const sizes = (files: number[]) => [...fileChunks(blobOf(files).starts, blobOf(files).blocks)].map((n) => n / KiB)
    expect(sizes(Array.from({ length: 80 }, () => 1))).toEqual([256, 64])
    expect(sizes([600])).toEqual([800, 800, 800])
    expect(sizes([16, 600, 1])).toEqual([64, 800, 800, 804])
    expect(sizes([3])).toEqual([12])
    expect([...fileChunks([], 0)]).toEqual([])
  })

  test('whatever order and number of times the starts come in', () => {
    expect(fileChunks([30, 0, 30, 90], 120)).toEqual(fileChunks([0, 30, 90], 120))
  })
})

function blobOf(files: readonly number[]): { starts: number[]; blocks: number } {
  const starts: number[] = []
  let blocks = 0
  for (const file of files) {
    starts.push(blocks)
    blocks += file
  }
  return { starts, blocks }
}
