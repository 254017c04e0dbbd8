/** Together at most 16 MiB. */
const most = 256

/**
 * Ends of chunks that reach into a leaf which was not fetched with them. Chunks and leaves begin in different places: without these, the neighbour's fetch would have to
 * bring the whole chunk again. None of it is verified before its leaf is whole.
 */
export class Fragments {
  /** By leaf: its first bytes, or its last. */
  readonly #heads = new Map<number, Buffer>()
  readonly #tails = new Map<number, Buffer>()

  headOf(leaf: number): Buffer {
    return this.#heads.get(leaf) ?? nothing
  }

  tailOf(leaf: number): Buffer {
    return this.#tails.get(leaf) ?? nothing
  }

  keepHead(leaf: number, bytes: Buffer): void {
    keep(this.#heads, leaf, bytes)
  }

  keepTail(leaf: number, bytes: Buffer): void {
    keep(this.#tails, leaf, bytes)
  }

  /** They were used, or are no good. */
  drop(leaf: number): void {
    this.#heads.delete(leaf)
    this.#tails.delete(leaf)
  }
}

const nothing = Buffer.alloc(0)

function keep(fragments: Map<number, Buffer>, leaf: number, bytes: Buffer): void {
  if (bytes.length === 0) return
  fragments.delete(leaf)
  fragments.set(leaf, bytes)
  const [oldest] = fragments.keys()
  if (fragments.size > most / 2 && oldest !== undefined) fragments.delete(oldest)
}
