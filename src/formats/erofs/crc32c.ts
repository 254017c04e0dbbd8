/**
 * CRC-32C (Castagnoli) of bytes, as erofs uses it: initial value 0xffffffff and no final inversion.
 *
 * @see the kernel's fs/erofs/super.c, erofs_superblock_csum_verify
 */
export function crc32c(bytes: Uint8Array, initial = 0xffffffff): number {
  let crc = initial
  for (const byte of bytes) crc = (table[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8)
  return crc >>> 0
}

const reflectedPolynomial = 0x82f63b78
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ reflectedPolynomial : crc >>> 1
  return crc
})
