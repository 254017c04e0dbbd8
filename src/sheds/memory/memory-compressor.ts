import { formatSize, isProblem } from '../../base/index.ts'
import { type Filesystem, filesystemOf } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'
import { compressMemory } from './compress-memory.ts'
import { type RestingMemory, restingMemories } from './resting-memories.ts'

/** Filesystems that never compress; any other may do so itself. */
const plainFilesystems: readonly Filesystem['type'][] = ['ext4', 'xfs']

/** At most so often, and at least so often, it is looked whose memory is due, in milliseconds; between, half of the time that was set. */
const lookMs = { least: 500, most: 60e3 }

/** Compresses memories that have rested for as long as config.toml says, one after the other. What is not worth it or fails is not tried again until it was used. */
export class MemoryCompressor implements AsyncDisposable {
  readonly #context: ShedsContext
  /** Since when what could not be compressed had rested, by the path of its RAM. */
  readonly #let = new Map<string, string>()
  readonly #timer: NodeJS.Timeout | undefined
  #round: Promise<void> | undefined
  #isClosing = false

  constructor(context: ShedsContext) {
    this.#context = context
    const { compressAfterMs: afterMs } = context
    if (afterMs === undefined) return
    const everyMs = Math.max(lookMs.least, Math.min(lookMs.most, afterMs / 2))
    this.#timer = setInterval(() => this.#look(afterMs), everyMs).unref()
  }

  /** Begins no more; what it is at ends with the transitions. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true
    clearInterval(this.#timer)
    await this.#round
  }

  #look(afterMs: number): void {
    if (this.#round !== undefined) return
    this.#round = this.#compressAll(afterMs)
      .catch((error: unknown) => {
        // The data directory cannot be read now. Whoever uses it is told.
        if (!isProblem(error)) throw error
      })
      .finally(() => {
        this.#round = undefined
      })
  }

  async #compressAll(afterMs: number): Promise<void> {
    const resting = await restingMemories(this.#context, afterMs)
    const paths = new Set<string>(resting.map(({ files }) => files.memSnap))
    for (const path of this.#let.keys()) if (!paths.has(path)) this.#let.delete(path)
    if (resting.length === 0) return
    if (!plainFilesystems.includes((await filesystemOf(this.#context.layout.sheds)).type)) return
    for (const memory of resting) if (!this.#isClosing) await this.#compress(memory)
  }

  async #compress(memory: RestingMemory): Promise<void> {
    const { of, name, files, since } = memory
    if (this.#let.get(files.memSnap) === since) return
    const say = (what: string, message: string) =>
      this.#context.events.append({ type: `${of}.${what}`, subject: name, message })
    try {
      const sizes = await compressMemory(this.#context.layout, memory)
      if (sizes === undefined) this.#let.set(files.memSnap, since)
      else
        say(
          'memory_compressed',
          `the memory of ${name} takes ${formatSize(sizes.after)}, not ${formatSize(sizes.before)}`,
        )
    } catch (error) {
      // Somebody wants it.
      if (isProblem(error, 'CANCELLED')) return
      this.#let.set(files.memSnap, since)
      say(
        'memory_not_compressed',
        `the memory of ${name} stays as it is: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }
}
