import { formatSize, isProblem } from '../../base/index.ts'
import { type Filesystem, fileStatus, filesystemOf } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'
import { loadAllSheds } from '../records/load-shed.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { compressMemory } from './compress-memory.ts'

/** Filesystems that never compress; any other may do so itself. */
const plainFilesystems: readonly Filesystem['type'][] = ['ext4', 'xfs']

/** At most so often, and at least so often, it is looked whose memory is due, in milliseconds; between, half of the time that was set. */
const lookMs = { least: 500, most: 60e3 }

/** Compresses the memory of sheds that have slept for as long as config.toml says, one after the other. What is not worth it or fails is not tried again. */
export class MemoryCompressor implements AsyncDisposable {
  readonly #context: ShedsContext
  /** When what could not be compressed was put there, by the name of its shed. */
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
    const { layout } = this.#context
    const records = (await loadAllSheds(this.#context)).flatMap(({ record }) => record ?? [])
    const asleep = records.filter(
      ({ status, changed_at: at }) => status === 'cold' && Date.now() - Date.parse(at) >= afterMs,
    )
    const names = new Set(asleep.map(({ name }) => name))
    for (const name of this.#let.keys()) if (!names.has(name)) this.#let.delete(name)
    if (asleep.length === 0 || !plainFilesystems.includes((await filesystemOf(layout.sheds)).type)) return
    for (const record of asleep) if (!this.#isClosing) await this.#compress(record)
  }

  async #compress({ name, changed_at: asleepSince }: ShedRecord): Promise<void> {
    const { layout, events } = this.#context
    if (this.#let.get(name) === asleepSince || (await fileStatus(layout.shed(name).memSnap)) === undefined) return
    const say = (type: string, message: string) => events.append({ type, subject: name, message })
    try {
      const sizes = await compressMemory(this.#context, name)
      if (sizes === undefined) this.#let.set(name, asleepSince)
      else
        say(
          'shed.memory_compressed',
          `the memory of ${name} takes ${formatSize(sizes.after)}, not ${formatSize(sizes.before)}`,
        )
    } catch (error) {
      // Somebody wants the shed.
      if (isProblem(error, 'CANCELLED')) return
      this.#let.set(name, asleepSince)
      say(
        'shed.memory_not_compressed',
        `the memory of ${name} stays as it is: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }
}
