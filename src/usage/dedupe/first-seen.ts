/**
 * Which block had a hash first: a table of fixed size, of 24 bytes for each block that it is made for. Blocks come in rising order of their numbers.
 */
export interface FirstSeen {
  /** @returns the number of the first block with this hash: this one's, if there was none before */
  see(high: number, low: number, block: number): number
}

export function firstSeen(blocks: number): FirstSeen {
  let size = 16
  let room = blocks
  while (size < 2 * blocks) size *= 2
  const [highs, lows, numbers] = [new Uint32Array(size), new Uint32Array(size), new Uint32Array(size)]
  return {
    see(high, low, block) {
      // A hash of zeros stands for none.
      for (let slot = (low ^ Math.imul(high, 0x9e3779b1)) >>> 0; ; slot++) {
        const at = slot & (size - 1)
        if (highs[at] === 0 && lows[at] === 0) {
          // More than it is made for: a guest may choose what its blocks hash to. They are taken for new ones.
          if (room-- <= 0) return block
          highs[at] = high
          lows[at] = low
          numbers[at] = block
          return block
        }
        if (highs[at] === high && lows[at] === low) return numbers[at] ?? block
      }
    },
  }
}
