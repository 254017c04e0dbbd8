import { Problem } from '../../base/index.ts'
import { agentLimits } from '../../formats/index.ts'
import { type Deferred, deferred } from './deferred.ts'

const maxChunks = 512

/**
 * One output of the guest: what came and was not read yet, never more than its window, since credit goes back only for what was read.
 */
export class OutputStream implements AsyncIterable<Buffer> {
  readonly #giveCredit: (bytes: number) => void
  readonly #givenUp: () => void
  readonly #chunks: Buffer[] = []
  /** What the guest may still send. */
  #credit: number = agentLimits.outputWindow
  /** Read, but not yet told to the guest. */
  #due = 0
  #ended = false
  #isGivenUp = false
  #problem: Problem | undefined
  #wake: Deferred<void> | undefined

  /** @param givenUp called when whoever iterates stops before the end */
  constructor({ giveCredit, givenUp }: { giveCredit: (bytes: number) => void; givenUp: () => void }) {
    this.#giveCredit = giveCredit
    this.#givenUp = givenUp
  }

  get ended(): boolean {
    return this.#ended
  }

  /** @throws Problem AGENT_PROTOCOL when the guest sends more than it may */
  push(bytes: Buffer): void {
    if (this.#ended) throw new Problem('AGENT_PROTOCOL', 'the guest sent output after its end')
    if (bytes.length > this.#credit) throw new Problem('AGENT_PROTOCOL', 'the guest sent more output than it may')
    this.#credit -= bytes.length
    if (this.#isGivenUp) {
      this.#consumed(bytes.length)
      return
    }
    this.#chunks.push(bytes)
    // A guest that sends single bytes must not make the window cost a hundred times its size in small buffers.
    if (this.#chunks.length > maxChunks)
      this.#chunks.splice(0, maxChunks, Buffer.concat(this.#chunks.slice(0, maxChunks)))
    this.#wake?.resolve()
  }

  /** @throws Problem AGENT_PROTOCOL when it has ended before */
  end(): void {
    if (this.#ended) throw new Problem('AGENT_PROTOCOL', 'the guest ended an output twice')
    this.#ended = true
    this.#wake?.resolve()
  }

  /** There will be nothing more, because of this. What has come can still be read. */
  fail(problem: Problem): void {
    if (this.#ended) return
    this.#ended = true
    this.#problem = problem
    this.#wake?.resolve()
  }

  /** From now on whatever comes is dropped. */
  giveUp(): void {
    if (this.#isGivenUp) return
    this.#isGivenUp = true
    this.#wake?.resolve()
    const dropped = this.#chunks.splice(0).reduce((sum, chunk) => sum + chunk.length, 0)
    this.#consumed(dropped)
  }

  /** Whoever reads stops here. */
  stop(): void {
    if (!this.#ended && !this.#isGivenUp) this.#givenUp()
    this.giveUp()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift()
        if (chunk !== undefined) {
          this.#consumed(chunk.length)
          yield chunk
          continue
        }
        if (this.#ended || this.#isGivenUp) break
        this.#wake = deferred()
        await this.#wake.promise
      }
      if (this.#problem !== undefined) throw this.#problem
    } finally {
      this.stop()
    }
  }

  /** In portions: a frame for each chunk would be as much talk as data. */
  #consumed(bytes: number): void {
    this.#due += bytes
    if (this.#due < agentLimits.outputWindow / 4 || this.#ended) return
    this.#credit += this.#due
    this.#giveCredit(this.#due)
    this.#due = 0
  }
}
