import type { Progress } from '../../base/index.ts'

/** Whoever has left this many bytes unread gets no progress until they are read. */
const maxBacklogBytes = 256 * 1024
/** Of the lines that programs print: the last ones, which say why a build has failed. */
const maxHeldCharacters = 256 * 1024

export interface ProgressSink {
  send(progress: Progress): void
  /** Bytes that were not taken yet. */
  backlog(): number
}

/**
 * Progress on its way to somebody who may read slowly, or not at all: what is held for him is the newest step of each phase and item, and the
 * last lines that programs printed.
 */
export class ProgressQueue {
  readonly #sink: ProgressSink
  readonly #steps = new Map<string, Progress>()
  #lines: Progress[] = []
  #characters = 0
  #lost = 0

  constructor(sink: ProgressSink) {
    this.#sink = sink
  }

  add(progress: Progress): void {
    const held = this.#lines.length + this.#steps.size
    if (held === 0 && this.#sink.backlog() <= maxBacklogBytes) this.#sink.send(progress)
    else if (progress.message === undefined) this.#steps.set(`${progress.phase} ${progress.item ?? ''}`, progress)
    else this.#hold(progress, progress.message)
  }

  /** Sends what is held. */
  flush(): void {
    const [first] = this.#lines
    if (first !== undefined && this.#lost > 0) {
      this.#sink.send({ ...first, message: `[${this.#lost} lines were not read in time, and are left out]` })
    }
    for (const progress of [...this.#lines, ...this.#steps.values()]) this.#sink.send(progress)
    this.#lines = []
    this.#steps.clear()
    this.#characters = 0
    this.#lost = 0
  }

  #hold(progress: Progress, { length }: string): void {
    this.#lines.push(progress)
    this.#characters += length
    if (this.#characters <= 2 * maxHeldCharacters) return
    // Many at a time: to move all of them up for each new one would cost more than to keep it.
    const dropped = this.#lines.findIndex(({ message = '' }) => {
      this.#characters -= message.length
      return this.#characters <= maxHeldCharacters
    })
    this.#lost += this.#lines.splice(0, dropped + 1).length
  }
}
