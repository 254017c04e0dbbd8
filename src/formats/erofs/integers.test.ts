import fc from 'fast-check'
import { expect, test } from 'vitest'
import { alignUp, readInt64, readUInt64, writeInt64 } from './integers.ts'

test('64-bit numbers are those of BigInt', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      const bytes = Buffer.alloc(10)
      writeInt64(bytes, value, 1)
      expect(bytes.readBigInt64LE(1)).toBe(BigInt(value))
      expect(readInt64(bytes, 1)).toBe(value)
      if (value >= 0) expect(readUInt64(bytes, 1)).toBe(value)
    }),
  )
})

test('numbers that lose digits in JavaScript are not read at all', () => {
  const bytes = Buffer.alloc(8)
  for (const value of [2n ** 53n, 2n ** 62n, -(2n ** 63n)]) {
    bytes.writeBigInt64LE(value)
    expect(readInt64(bytes, 0)).toBeUndefined()
    expect(readUInt64(bytes, 0)).toBeUndefined()
  }
  bytes.writeBigInt64LE(-1n)
  expect(readInt64(bytes, 0)).toBe(-1)
  expect(readUInt64(bytes, 0)).toBeUndefined()
})

test('alignUp', () => {
  expect([0, 1, 31, 32, 33].map((value) => alignUp(value, 32))).toEqual([0, 32, 32, 32, 64])
  expect(alignUp(2 ** 45 + 1, 4096)).toBe(2 ** 45 + 4096)
})
