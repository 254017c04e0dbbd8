import { type FSWatcher, watch } from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DataLayout, type Digest, isProblem } from '../../base/index.ts'
import { isLocked } from '../../host/index.ts'
import type { Images } from '../../images/index.ts'
import {
  type LazyUse,
  lazyUses,
  readLazySource,
  readWrong,
  removeLazyLower,
  type WrongLower,
} from '../../lazy/index.ts'
import type { Sheds } from '../../sheds/index.ts'
import type { EventLog, NewEvent } from '../../state/index.ts'

export interface OpenWholeLowers {
  readonly layout: DataLayout
  readonly images: Pick<Images, 'settleLazyLower'>
  readonly events: Pick<EventLog, 'append'>
  /** The sheds that were made to read a lower in part, by their names. */
  readonly readersOf: (chunkIndex: Digest) => Promise<string[]>
  /** Those that read what could not be verified before it was whole. @see Sheds */
  readonly sheds: () => Pick<Sheds, 'lowerIsRight' | 'failSheds'> | undefined
}

/** How often it is looked whether somebody still serves what is to go, in milliseconds. */
const lookMs = 500
/** After sheds of a lower that is wrong could not all be failed: one may be in the middle of something. */
const againMs = 5_000

/**
 * Makes of lazy lowers that are whole the lowers of their images: one after another, behind everything else. Whoever serves one notes that it is whole by a file beside it; what was noted
 * while there was no daemon is found when one begins. What turns out to be wrong, of those that could not be verified before, is noted in the same way: then its sheds fail, and it goes.
 */
export class WholeLowers implements AsyncDisposable {
  readonly #options: OpenWholeLowers
  readonly #closing = new AbortController()
  readonly #left = new Set<Digest>()
  /** Those that are wrong and whose sheds could not all be failed: that was told. */
  readonly #unfailed = new Set<Digest>()
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: OpenWholeLowers) {
    this.#options = options
  }

  /** Looks at all that there are. */
  settleAll(): void {
    this.#then(async () => {
      // What cannot be listed now is settled when a shed reads it.
      const all = await lazyUses(this.#options.layout).catch((): LazyUse[] => [])
      for (const { chunkIndex } of all) await this.#settle(chunkIndex)
    })
  }

  /** Looks at one when it is noted to be whole, until the disposal. It is there. */
  follow(chunkIndex: Digest): Disposable {
    const { dir, whole, wrong } = this.#options.layout.lazyLower(chunkIndex)
    const notes = new Set([basename(whole), basename(wrong)])
    let watcher: FSWatcher | undefined
    try {
      watcher = watch(dir, (_, name) => {
        if (name !== null && notes.has(name)) this.look(chunkIndex)
      })
      // Where it cannot be watched it is looked at when who serves it has ended.
      watcher.on('error', () => {})
    } catch {}
    // It may have been noted before.
    this.look(chunkIndex)
    return { [Symbol.dispose]: () => watcher?.close() }
  }

  /** Looks at one once, behind the others. */
  look(chunkIndex: Digest): void {
    this.#then(() => this.#settle(chunkIndex))
  }

  /** Looks at one once more when nobody serves it any more: then what is left of it can go. */
  leave(chunkIndex: Digest): void {
    if (this.#left.has(chunkIndex)) return
    this.#left.add(chunkIndex)
    void this.#leave(chunkIndex).finally(() => this.#left.delete(chunkIndex))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#last
  }

  async #leave(chunkIndex: Digest): Promise<void> {
    const { lock } = this.#options.layout.lazyLower(chunkIndex)
    const { signal } = this.#closing
    try {
      while (await isLocked(lock)) await sleep(lookMs, undefined, { signal, ref: false })
    } catch {
      return
    }
    this.look(chunkIndex)
  }

  #then(work: () => Promise<void>): void {
    this.#last = this.#last.then(async () => {
      if (!this.#closing.signal.aborted) await work()
    })
  }

  /** Nobody waits for it, and it is tried again another time. */
  async #settle(chunkIndex: Digest): Promise<void> {
    const { layout, images } = this.#options
    const { signal } = this.#closing
    let subject: string = chunkIndex
    try {
      subject = (await readLazySource(layout, chunkIndex))?.reference ?? subject
      const wrong = await readWrong(layout, chunkIndex)
      if (wrong !== undefined) return await this.#fail(chunkIndex, subject, wrong)
      const settled = await images.settleLazyLower(chunkIndex, { signal })
      if (settled !== 'lazy') void this.#tellSheds(chunkIndex, subject)
      if (settled !== 'kept') return
      await this.#tell(chunkIndex, {
        type: 'image.whole',
        subject,
        message: `all of ${subject} is here: it needs no registry any more`,
      })
    } catch (error) {
      if (isProblem(error, 'CANCELLED')) return
      const message = `${subject} is whole, and stays a cache: ${messageOf(error)}`
      await this.#tell(chunkIndex, { type: 'lazy.unsettled', subject, message })
    }
  }

  async #tell(chunkIndex: Digest, event: NewEvent): Promise<void> {
    const data = await this.#dataOf(chunkIndex)
    this.#options.events.append({ ...event, data })
  }

  async #dataOf(chunkIndex: Digest): Promise<NonNullable<NewEvent['data']>> {
    // What has happened is told in any case.
    const sheds = await this.#options.readersOf(chunkIndex).catch((): string[] => [])
    return { chunk_index_digest: chunkIndex, sheds: sheds.sort() }
  }

  /** Its sheds first: as long as one of them has not failed, what is known of it stays. Whoever serves it gives nothing any more, and ends with their VMs; then this is called again. */
  async #fail(chunkIndex: Digest, subject: string, { reason, since }: WrongLower): Promise<void> {
    const { layout, events, sheds } = this.#options
    const readers = sheds()
    if (readers === undefined) return
    try {
      const failed = await readers.failSheds(chunkIndex, { reason, since })
      const message = `${subject} is not what was published: ${reason}`
      const data = { chunk_index_digest: chunkIndex, sheds: failed }
      if (failed.length > 0) events.append({ type: 'lazy.wrong', subject, message, data })
      this.#unfailed.delete(chunkIndex)
      await removeLazyLower(layout, chunkIndex)
    } catch (error) {
      if (isProblem(error, 'CANCELLED')) return
      void sleep(againMs, undefined, { signal: this.#closing.signal, ref: false }).then(
        () => this.look(chunkIndex),
        () => {},
      )
      if (this.#unfailed.has(chunkIndex)) return
      this.#unfailed.add(chunkIndex)
      const message = `${subject} is wrong, and not all of its sheds could be failed: ${messageOf(error)}`
      await this.#tell(chunkIndex, { type: 'lazy.unsettled', subject, message })
    }
  }

  /** Nobody waits for it: a shed that is just starting would hold up other lowers. One that cannot be told now is told at its next transition. */
  async #tellSheds(chunkIndex: Digest, subject: string): Promise<void> {
    try {
      await this.#options.sheds()?.lowerIsRight(chunkIndex)
    } catch (error) {
      if (isProblem(error, 'CANCELLED')) return
      const message = `${subject} is verified, and not all of its sheds say so yet: ${messageOf(error)}`
      const data = await this.#dataOf(chunkIndex)
      // The disposal does not wait for this, and the event log may be closed after it.
      if (!this.#closing.signal.aborted) this.#options.events.append({ type: 'lazy.unsettled', subject, message, data })
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
