export type Compression = 'gzip' | 'zstd' | 'none'

/**
 * How a stream is compressed, by its first 4 bytes; what is neither gzip nor zstd is taken as plain.
 *
 * @see RFC 1952 section 2.3.1 (gzip), RFC 8878 sections 3.1.1 and 3.1.2 (zstd frames and skippable frames)
 */
export function sniffCompression(head: Uint8Array): Compression {
  const [a, b, c, d] = head
  if (a === 0x1f && b === 0x8b) return 'gzip'
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return 'zstd'
  if (a !== undefined && a >> 4 === 5 && b === 0x2a && c === 0x4d && d === 0x18) return 'zstd'
  return 'none'
}
