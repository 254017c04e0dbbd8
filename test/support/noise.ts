import { createHash } from 'node:crypto'

/** Bytes that do not compress, the same for the same seed: those of fewer are the beginning of those of more. */
export function noise(bytes: number, seed: number | string = 'noise'): Buffer {
  return createHash('shake128', { outputLength: Math.max(1, bytes) })
    .update(`${seed}`)
    .digest()
    .subarray(0, bytes)
}
