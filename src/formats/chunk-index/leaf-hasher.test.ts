import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LeafHasher, leafBytes } from './index.ts'

test('leaves are hashed alike, however the bytes come', () => {
  const bytes = Buffer.alloc(3 * leafBytes + 5000, 'leaves of a lower ')
  const expected = Array.from({ length: 4 }, (_, leaf) => {
    const content = bytes.subarray(leaf * leafBytes, (leaf + 1) * leafBytes)
    return createHash('sha256').update(content).digest()
  })
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 10 }), (cuts) => {
      const hasher = new LeafHasher()
      const sorted = [0, ...cuts, bytes.length].sort((a, b) => a - b)
      for (const [at, from] of sorted.entries()) hasher.update(bytes.subarray(from, sorted[at + 1] ?? from))
      expect(hasher.finish().equals(Buffer.concat(expected))).toBe(true)
    }),
  )
  expect(new LeafHasher().finish().length).toBe(0)
})
