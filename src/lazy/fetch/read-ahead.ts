/** Leaves of 64 KiB: 512 KiB for a read out of nowhere, up to 4 MiB for one that goes on where others were. */
const sizes = { first: 8, most: 64 } as const
/** Streams that are remembered: a guest reads several files at once. */
const maxStreams = 8
/** A read that begins this many leaves after the end of a stream still belongs to it: what is between may have been here. */
const slack = 4

interface Stream {
  /** The leaf after the last one that was fetched for it. */
  end: number
  leaves: number
}

/** How much to fetch beyond what a read has missed: the more, the longer it has gone straight on. */
export class ReadAhead {
  /** The one that was used last comes last. */
  #streams: Stream[] = []

  /** How many leaves to fetch from a missing one on. */
  leavesFrom(leaf: number): number {
    const known = this.#streams.find(({ end }) => leaf >= end && leaf <= end + slack)
    const leaves = known === undefined ? sizes.first : Math.min(sizes.most, known.leaves * 2)
    const others = this.#streams.filter((stream) => stream !== known)
    this.#streams = [...others.slice(-(maxStreams - 1)), { end: leaf + leaves, leaves }]
    return leaves
  }
}
