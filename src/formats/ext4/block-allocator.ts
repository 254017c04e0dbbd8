import { blocksPerGroup, type Extent, groupPlace, maxBlocks } from './geometry.ts'
import { tooLarge } from './invalid-ext4.ts'

/** Hands out the blocks of an image from the first to the last, around the metadata of the groups. */
export class BlockAllocator {
  readonly #inodesPerGroup: number
  #next: number

  constructor(inodesPerGroup: number) {
    this.#inodesPerGroup = inodesPerGroup
    this.#next = groupPlace(0, inodesPerGroup).end
  }

  /** The first block that has not been handed out. */
  get end(): number {
    return this.#next
  }

  /** So many blocks, in as few runs as the groups allow: a run never goes past the end of one. @throws Problem EXT4_INVALID */
  take(blocks: number): Extent[] {
    if (this.#next + blocks > maxBlocks) throw tooLarge()
    const extents: Extent[] = []
    for (let left = blocks; left > 0; ) {
      this.#enterGroup()
      const rest = blocksPerGroup - (this.#next % blocksPerGroup)
      const run = Math.min(left, rest)
      extents.push({ block: this.#next, blocks: run })
      this.#next += run
      left -= run
    }
    return extents
  }

  takeOne(): number {
    const [extent] = this.take(1)
    return extent?.block ?? 0
  }

  #enterGroup(): void {
    if (this.#next % blocksPerGroup === 0) {
      this.#next = groupPlace(this.#next / blocksPerGroup, this.#inodesPerGroup).end
    }
  }
}
