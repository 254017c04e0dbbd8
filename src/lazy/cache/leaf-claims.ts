import { type LockedRange, lockRange, unlockRange } from '../../host/index.ts'

export interface Claimed {
  /** The leaf after the last that is ours now; the first that was asked for when none is. */
  readonly end: number
  /** When none is: the first leaf of whoever has it. It changes as he gets on. */
  readonly othersFrom?: number
}

/**
 * Which process fetches which leaves of a cache file: locks of the kernel, which die with their process. One byte stands for each leaf, far beyond the end of the file, for QEMU has locks of its own on the
 * first few hundred. Nothing depends on them: who is not told, or does not ask, fetches what another fetches too.
 */
export class LeafClaims {
  readonly #fd: number

  /** @param fd of the file, opened for writing, by nobody else in this process */
  constructor(fd: number) {
    this.#fd = fd
  }

  /** Claims leaves from `first` on, as many before `end` as nobody else has. */
  take(first: number, end: number): Claimed {
    for (let until = end; ; ) {
      const other = this.#lock(first, until)
      if (other === undefined) return { end: until }
      const othersFrom = other.offset - firstByte
      if (othersFrom <= first) return { end: first, othersFrom }
      until = othersFrom
    }
  }

  /** Others may have them. Of those that are not ours nothing changes. */
  release(first: number, end: number): void {
    if (first >= end) return
    try {
      unlockRange(this.#fd, bytesOf(first, end))
    } catch {
      // There are no such locks here.
    }
  }

  #lock(first: number, end: number): LockedRange | undefined {
    try {
      return lockRange(this.#fd, bytesOf(first, end))
    } catch {
      // There are no such locks here: everybody has what he wants.
      return undefined
    }
  }
}

const firstByte = 2 ** 40

function bytesOf(first: number, end: number): LockedRange {
  return { offset: firstByte + first, length: end - first }
}
