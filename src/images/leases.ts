import { type Digest, Problem, shortDigest } from '../base/index.ts'

/**
 * What work in flight needs and no file says yet: blobs that a load is bringing, images that a shed is being made from. One daemon owns a
 * data directory, so memory is the right place for it: leases die with the process, and what they protected is swept.
 *
 * The rule that makes removal safe: to lease, then to wait until `settled`, then to look whether the thing is there; removal looks at the
 * leases just before each file goes, with nothing between.
 */
export class Leases {
  readonly #blobs = new Map<Digest, number>()
  readonly #manifests = new Map<Digest, number>()
  readonly #removing = new Set<Digest>()
  readonly #watches = new Set<Set<Digest>>()
  #lastRemoval: Promise<unknown> = Promise.resolve()

  /** Blobs and layers, as many as it is told of, until it is disposed of. */
  openBlobLease(): BlobLease {
    return new BlobLease(this.#blobs)
  }

  /**
   * Keeps an image, with all that belongs to it, until disposed of.
   *
   * @throws Problem IMAGE_NOT_FOUND when it is being removed at this moment
   */
  holdImage(manifest: Digest): Disposable {
    if (this.#removing.has(manifest)) {
      throw new Problem('IMAGE_NOT_FOUND', `image ${shortDigest(manifest)} is being removed`)
    }
    for (const watch of this.#watches) watch.add(manifest)
    return { [Symbol.dispose]: count(this.#manifests, manifest) }
  }

  isLeased(digest: Digest): boolean {
    return this.#blobs.has(digest)
  }

  heldImages(): Digest[] {
    return [...this.#manifests.keys()]
  }

  /**
   * Every image that is held at any time until the disposal. Who makes a plan looks at it in the end: an image that was held and let go
   * meanwhile may have a new shed that the plan does not know.
   */
  watchHolds(): Disposable & { readonly held: ReadonlySet<Digest> } {
    const held = new Set(this.#manifests.keys())
    this.#watches.add(held)
    return { held, [Symbol.dispose]: () => void this.#watches.delete(held) }
  }

  /** Resolves when no removal that was under way can take anything any more. */
  async settled(): Promise<void> {
    await this.#lastRemoval
  }

  /** Removals are made one after another. */
  removal<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#lastRemoval.then(work)
    this.#lastRemoval = next.catch(() => {})
    return next
  }

  /** From here on these images cannot be held; ends with the disposal. */
  startRemoving(manifests: Iterable<Digest>): Disposable {
    const added = [...manifests]
    for (const digest of added) this.#removing.add(digest)
    return {
      [Symbol.dispose]: () => {
        for (const digest of added) this.#removing.delete(digest)
      },
    }
  }
}

export class BlobLease implements Disposable {
  readonly #counts: Map<Digest, number>
  readonly #mine = new Map<Digest, () => void>()

  constructor(counts: Map<Digest, number>) {
    this.#counts = counts
  }

  add(digest: Digest): void {
    if (!this.#mine.has(digest)) this.#mine.set(digest, count(this.#counts, digest))
  }

  /** Whether nobody else has leased it. */
  isAlone(digest: Digest): boolean {
    return (this.#counts.get(digest) ?? 0) <= (this.#mine.has(digest) ? 1 : 0)
  }

  [Symbol.dispose](): void {
    for (const release of this.#mine.values()) release()
    this.#mine.clear()
  }
}

function count(counts: Map<Digest, number>, digest: Digest): () => void {
  counts.set(digest, (counts.get(digest) ?? 0) + 1)
  let released = false
  return () => {
    if (released) return
    released = true
    const left = (counts.get(digest) ?? 1) - 1
    if (left === 0) counts.delete(digest)
    else counts.set(digest, left)
  }
}
