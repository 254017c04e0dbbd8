import { Problem, printableBytes } from '../../base/index.ts'

/** A layer that says what no filesystem can do. `path` is the entry's, as the layer has it. */
export function invalidEntry(path: Uint8Array, why: string): Problem {
  const name = printableBytes(path.subarray(0, 300))
  return new Problem('LAYER_INVALID', `${name === '' ? 'the root directory' : name}: ${why}`, {
    hint: 'the image itself is at fault: build it again with another tool',
    data: { entry: name },
  })
}
