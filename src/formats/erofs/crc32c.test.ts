import { expect, test } from 'vitest'
import { crc32c } from './crc32c.ts'

test('the check value of CRC-32C, without its final inversion', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(~0xe3069283 >>> 0)
})

test('the vectors of RFC 3720, B.4', () => {
  expect(crc32c(Buffer.alloc(32))).toBe(~0x8a9136aa >>> 0)
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(~0x62a8ab43 >>> 0)
  expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, index) => index)))).toBe(~0x46dd794e >>> 0)
})
