import { type DataLayout, type Digest, isProblem, type OnProgress, shortDigest } from '../../base/index.ts'
import { openPartialBlob, type StagedBlob } from '../../blobs/index.ts'
import type { Descriptor } from '../../formats/index.ts'
import { FileGrowth } from '../../host/index.ts'
import type { Repository } from '../../wires/index.ts'
import type { LongWork } from '../long-work.ts'
import { Flights } from '../lowers/flights.ts'

export interface Fetch extends LongWork {
  readonly descriptor: Descriptor
  readonly repository: Pick<Repository, 'readBlob'>
}

export interface Fetching {
  /** What is there of it so far; undefined when there is nothing to follow. */
  readonly partial: Growing | undefined
  /** Whole and verified, where the store can install it from. */
  readonly blob: Promise<StagedBlob>
}

export interface Growing {
  readonly path: string
  readonly growing: { readonly size: number; readonly growth: SharedArrayBuffer }
}

interface Underway {
  readonly size: number
  readonly growth: FileGrowth
  readonly blob: Promise<StagedBlob>
}

/**
 * Brings blobs from registries into `downloads/`: each once, however many pulls want it at the same time, and each from where an earlier
 * attempt stopped. Lease a blob before it is fetched.
 */
export class Downloads {
  readonly #layout: DataLayout
  readonly #flights = new Flights<StagedBlob>()
  readonly #underway = new Map<Digest, Underway>()

  constructor(layout: DataLayout) {
    this.#layout = layout
  }

  /**
   * Hears of the phase `download`, in bytes of the blob.
   *
   * @throws (the promise) Problem SIZE_MISMATCH, DIGEST_MISMATCH, NO_SPACE, CANCELLED, and whatever the registry's client throws
   */
  fetch(request: Fetch): Fetching {
    const { digest, size } = request.descriptor
    const blob = this.#join(request)
    const underway = this.#underway.get(digest)
    if (underway === undefined || underway.size !== size) return { partial: undefined, blob }
    return {
      partial: { path: this.#layout.partialBlob(digest), growing: { size, growth: underway.growth.shared } },
      blob,
    }
  }

  /** A download that somebody else has begun may fail for reasons of his: another size, a registry that is down. Then it is done our way. */
  async #join(request: Fetch): Promise<StagedBlob> {
    const { digest, size } = request.descriptor
    for (;;) {
      let own = false
      try {
        const blob = await this.#flights.join(digest, request, (crew) => {
          own = true
          return this.#download({ ...request, ...crew })
        })
        if (blob.size === size) return blob
      } catch (error) {
        if (own || request.signal?.aborted || !isProblem(error)) throw error
      }
    }
  }

  async #download(request: Fetch & { readonly onProgress: OnProgress }): Promise<StagedBlob> {
    const { digest, size } = request.descriptor
    const growth = new FileGrowth()
    const blob = this.#bring(request, growth, this.#underway.get(digest))
    const underway = { size, growth, blob }
    this.#underway.set(digest, underway)
    try {
      return await blob
    } catch (error) {
      growth.giveUp()
      throw error
    } finally {
      if (this.#underway.get(digest) === underway) this.#underway.delete(digest)
    }
  }

  /** One that everybody has left still writes what has come: two who append to one file would spoil it. */
  async #bring(
    request: Fetch & { readonly onProgress: OnProgress },
    growth: FileGrowth,
    before: Underway | undefined,
  ): Promise<StagedBlob> {
    await before?.blob.catch(() => {})
    return await this.#attempt(request, growth, 'retry')
  }

  /**
   * Wrong bytes may be what an earlier attempt had left, or a mirror's: then it begins at the beginning, once, and from the registry itself.
   */
  async #attempt(
    request: Fetch & { readonly onProgress: OnProgress },
    growth: FileGrowth,
    onWrongBytes: 'retry' | 'fail',
  ): Promise<StagedBlob> {
    const { descriptor, repository, signal, onProgress } = request
    const { digest, size } = descriptor
    const onGrown = (done: number) => {
      growth.reach(done)
      onProgress({ phase: 'download', item: shortDigest(digest), done, total: size })
    }
    await using partial = await openPartialBlob({ layout: this.#layout, digest, size, signal, onGrown })
    try {
      if (partial.bytes < size) {
        const mirrors = onWrongBytes === 'fail' ? false : undefined
        for await (const chunk of repository.readBlob({ digest, size, from: partial.bytes, mirrors, signal })) {
          await partial.append(chunk)
        }
      }
      return await partial.finish()
    } catch (error) {
      if (!isProblem(error, 'DIGEST_MISMATCH') || onWrongBytes === 'fail') throw error
      // Whoever has followed it has read wrong bytes.
      growth.giveUp()
      return await this.#attempt(request, new FileGrowth(), 'fail')
    }
  }
}
