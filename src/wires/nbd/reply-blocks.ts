/** Of a reply that is put into a block: 1 MiB, which few clients ask more than, and what stands before it. */
export const blockBytes = (1 << 20) + 64
/** Kept for whoever is next. */
const maxSpare = 4

/** Memory that replies are sent from. */
export interface ReplyBlock {
  readonly bytes: Buffer
  /** Writes of it that were not taken yet. */
  pending: number
}

/** The blocks of all connections: one that was used before costs no page faults, and its memory may still be in the processor's cache. */
export class ReplyBlocks {
  readonly #spare: ReplyBlock[] = []

  take(): ReplyBlock {
    return this.#spare.pop() ?? { bytes: Buffer.allocUnsafeSlow(blockBytes), pending: 0 }
  }

  /** Nobody uses it any more. */
  give(block: ReplyBlock): void {
    if (this.#spare.length < maxSpare) this.#spare.push(block)
  }
}
