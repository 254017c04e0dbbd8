import { type FSWatcher, watch } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DataLayout, type Digest, isProblem } from '../../base/index.ts'
import { isLocked } from '../../host/index.ts'
import type { Images } from '../../images/index.ts'
import { type LazyUse, lazyUses, readLazySource } from '../../lazy/index.ts'
import type { EventLog, NewEvent } from '../../state/index.ts'

export interface OpenWholeLowers {
  readonly layout: DataLayout
  readonly images: Pick<Images, 'settleLazyLower'>
  readonly events: Pick<EventLog, 'append'>
  /** The sheds that were made to read a lower in part, by their names. */
  readonly readersOf: (chunkIndex: Digest) => Promise<string[]>
}

/** How often it is looked whether somebody still serves what is to go, in milliseconds. */
const lookMs = 500

/**
 * Makes of lazy lowers that are whole the lowers of their images: one after another, behind everything else. Whoever serves one notes that it is whole by a file beside it; what was noted
 * while there was no daemon is found when one begins.
 */
export class WholeLowers implements AsyncDisposable {
  readonly #options: OpenWholeLowers
  readonly #closing = new AbortController()
  readonly #left = new Set<Digest>()
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
    const { dir, whole } = this.#options.layout.lazyLower(chunkIndex)
    let watcher: FSWatcher | undefined
    try {
      watcher = watch(dir, (_, name) => {
        if (name !== null && whole.endsWith(`/${name}`)) this.#then(() => this.#settle(chunkIndex))
      })
      // Where it cannot be watched it is looked at when who serves it has ended.
      watcher.on('error', () => {})
    } catch {}
    // It may have been noted before.
    this.#then(() => this.#settle(chunkIndex))
    return { [Symbol.dispose]: () => watcher?.close() }
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
    this.#then(() => this.#settle(chunkIndex))
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
      if ((await images.settleLazyLower(chunkIndex, { signal })) !== 'kept') return
      await this.#tell(chunkIndex, {
        type: 'image.whole',
        subject,
        message: `all of ${subject} is here: it needs no registry any more`,
      })
    } catch (error) {
      if (isProblem(error, 'CANCELLED')) return
      const why = error instanceof Error ? error.message : String(error)
      const message = `${subject} is whole, and stays a cache: ${why}`
      await this.#tell(chunkIndex, { type: 'lazy.unsettled', subject, message })
    }
  }

  async #tell(chunkIndex: Digest, event: NewEvent): Promise<void> {
    const { events, readersOf } = this.#options
    // What has happened is told in any case.
    const sheds = await readersOf(chunkIndex).catch((): string[] => [])
    events.append({ ...event, data: { chunk_index_digest: chunkIndex, sheds: sheds.sort() } })
  }
}
