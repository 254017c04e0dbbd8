import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatSize, parseSize } from './size.ts'

describe('parseSize', () => {
  test.each([
    ['0', 0],
    ['512', 512],
    ['1.5GiB', 1_610_612_736],
    ['20GB', 20_000_000_000],
    ['5 gib', 5 * 2 ** 30],
    ['4k', 4000],
    ['4KiB', 4096],
    ['1TB', 1e12],
  ])('%s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  test.each(['', '-1', '1.5.2GB', 'GB', '1 potato', '1e3', '0x10', '99999999TB', '1_000'])('refuses %j', (text) => {
    expect(() => parseSize(text)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }))
  })
})

describe('formatSize', () => {
  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [20_100_000_000, '20.1 GB'],
    [999_949, '999.9 kB'],
    [999_951, '1.0 MB'],
    [3_300_000_000, '3.3 GB'],
  ])('%d', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text)
  })

  test('says within 5 % what it was given', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9e15 }), (bytes) => {
        const text = formatSize(bytes).replace('PB', '000TB')
        const read = text.includes('000TB') ? Number.parseFloat(text) * 1e15 : parseSize(text)
        expect(Math.abs(read - bytes)).toBeLessThanOrEqual(bytes * 0.051)
      }),
    )
  })
})
