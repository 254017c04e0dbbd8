import { minMatch, tokenMax } from './block-rules.ts'

/**
 * Decompresses one block into `out`.
 *
 * @returns whether it is sound and holds exactly `out.length` bytes; when not, `out` is anything
 */
export function decompressLz4(block: Uint8Array, out: Uint8Array): boolean {
  let at = 0
  let filled = 0
  for (;;) {
    const token = block[at++]
    if (token === undefined) return false

    let literals = token >> 4
    if (literals === tokenMax) {
      for (let more = 255; more === 255; literals += more) {
        const byte = block[at++]
        if (byte === undefined) return false
        more = byte
      }
    }
    if (at + literals > block.length || filled + literals > out.length) return false
    if (literals > 32) out.set(block.subarray(at, at + literals), filled)
    else for (let i = 0; i < literals; i++) out[filled + i] = block[at + i] ?? 0
    at += literals
    filled += literals
    // Only the last sequence has no match.
    if (at === block.length) return filled === out.length

    const offset = (block[at] ?? 0) | ((block[at + 1] ?? 0) << 8)
    at += 2
    if (at > block.length || offset === 0 || offset > filled) return false
    let length = (token & tokenMax) + minMatch
    if (length === minMatch + tokenMax) {
      for (let more = 255; more === 255; length += more) {
        const byte = block[at++]
        if (byte === undefined) return false
        more = byte
      }
    }
    if (filled + length > out.length) return false
    if (offset >= length && length > 32) out.copyWithin(filled, filled - offset, filled - offset + length)
    // Byte by byte: a match may overlap what it writes.
    else for (let i = 0; i < length; i++) out[filled + i] = out[filled - offset + i] ?? 0
    filled += length
  }
}
