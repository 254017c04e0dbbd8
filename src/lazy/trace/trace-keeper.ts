import type { DataLayout } from '../../base/index.ts'
import { addToTrace, type BootTrace, bootTraceLimits } from '../../formats/index.ts'
import { removeBootTrace, writeBootTrace } from './trace-files.ts'

export interface KeepTrace {
  readonly layout: DataLayout
  readonly name: string
  /** What earlier boots have read. */
  readonly earlier: BootTrace
  /** What this one has read so far. */
  readonly touched: () => readonly number[]
}

/** How often it is looked whether there is more to write down, in milliseconds: what a kill -9 takes. */
const saveEveryMs = 1_000
/** What is read later than that after the first read is no boot any more. */
const bootMs = 120_000

/** Writes down what a boot reads, until it is over; nothing of one that turns out to be a copy of the image. What cannot be written is no loss to anybody: the next boot is recorded. */
export class TraceKeeper implements AsyncDisposable {
  readonly #options: KeepTrace
  readonly #timer: NodeJS.Timeout
  #saved = 0
  #saving: Promise<void> = Promise.resolve()
  /** When the boot will be over. */
  #endAt = Number.POSITIVE_INFINITY

  constructor(options: KeepTrace) {
    this.#options = options
    this.#timer = setInterval(() => this.#look(), saveEveryMs)
    this.#timer.unref()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (performance.now() < this.#endAt) this.#save()
    this.#end()
    await this.#saving
  }

  #look(): void {
    const { length } = this.#options.touched()
    if (length === 0) return
    if (this.#endAt === Number.POSITIVE_INFINITY) this.#endAt = performance.now() + bootMs
    this.#save()
    if (performance.now() >= this.#endAt || length >= bootTraceLimits.leaves) this.#end()
  }

  #end(): void {
    clearInterval(this.#timer)
  }

  #save(): void {
    this.#saving = this.#saving.then(() => this.#write()).catch(() => {})
  }

  async #write(): Promise<void> {
    const { layout, name, earlier, touched } = this.#options
    const leaves = [...touched()]
    if (leaves.length === this.#saved) return
    this.#saved = leaves.length
    // Whoever reads so much copies the image: what he read is nothing to others.
    const trace = leaves.length < bootTraceLimits.leaves ? addToTrace(earlier, leaves) : earlier
    if (trace.boots > 0) await writeBootTrace(layout, { name, trace })
    else await removeBootTrace(layout, { name, trace })
  }
}
