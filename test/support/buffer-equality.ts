import { expect } from 'vitest'

/** Buffers are equal when their bytes are: compared as they are, and not element by element, which takes a second for a megabyte. */
expect.addEqualityTesters([
  (a: unknown, b: unknown) => (Buffer.isBuffer(a) && Buffer.isBuffer(b) ? a.equals(b) : undefined),
])
