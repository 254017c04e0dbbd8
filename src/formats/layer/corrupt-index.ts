import { Problem } from '../../base/index.ts'

/** An index that is not as it was written: its cache entry is to be rebuilt from the layer. */
export function corruptIndex(why: string): Problem {
  return new Problem('LAYER_INVALID', `a cached layer index is corrupt: ${why}`)
}
