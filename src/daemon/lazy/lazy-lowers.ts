import { chmod, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { type Digest, dataLayout, isProblem, Problem, type ProblemCode, problemCodes } from '../../base/index.ts'
import { defaultLazyReading, type LazyProgress } from '../../contract/index.ts'
import { spawnDetached, within } from '../../host/index.ts'
import type { Images } from '../../images/index.ts'
import { readWrong, wrongLower } from '../../lazy/index.ts'
import type { LazyAttachment, LazyLowers, LongWork } from '../../sheds/index.ts'
import type { EventLog } from '../../state/index.ts'
import { type NbdWatch, watchNbd } from '../../wires/index.ts'
import { type JoinedWatch, ProgressWatches } from './progress-watches.ts'
import { makeServingDirectory, servingDirectory } from './serving-directory.ts'
import type { WholeLowers } from './whole-lowers.ts'

export interface OpenLazyLowers {
  /** The data directory. */
  readonly root: string
  readonly runDirectory: string
  /** bin/cowshed. */
  readonly launcher: string
  readonly events: EventLog
  readonly images: Pick<Images, 'ensureLazySource'>
  readonly wholes: Pick<WholeLowers, 'follow' | 'leave' | 'look'>
}

/** How often it is looked whether a server that was started answers, in milliseconds. */
const lookMs = 20
/** How long after a server could not be had another is tried, in milliseconds: a guest's reads wait for half a minute. */
const retryMs = 1_000
const ended = 'whoever served it has ended: another is started'

export interface ServedLowers extends LazyLowers, Disposable {
  /** How many of those who serve it this daemon is connected to. */
  watches(chunkIndex: Digest): number
}

/**
 * Has each lower served by a process of its own, `cowshed lazy serve`, that lives as long as anybody is connected to it: QEMU is, and so is this daemon, for each lower that
 * sheds read. That connection is how a daemon hears that a server has died, and starts another; a daemon that is gone takes none along.
 */
export function openLazyLowers(options: OpenLazyLowers): ServedLowers {
  const served = new Map<string, ServedLower>()
  const watches = new ProgressWatches(options.events)
  const lowerOf = (shed: string, lower: LazyAttachment) => {
    const socket = socketOf(options, lower)
    const known = served.get(socket) ?? new ServedLower({ ...options, watches }, lower)
    served.set(socket, known)
    known.sheds.add(shed)
    return known
  }
  return {
    async serve(shed, lower, work) {
      const known = lowerOf(shed, lower)
      await known.ensure(work)
      return known.socket
    },
    follow: (shed, lower) => lowerOf(shed, lower).adopt(),
    watches: (chunkIndex) =>
      [...served.values()].filter((one) => one.chunkIndex === chunkIndex && one.isWatched).length,
    progress: (lower) => served.get(socketOf(options, lower))?.progress,
    async wrong({ chunkIndex, plain }) {
      const wrong = plain === true ? await readWrong(dataLayout(options.root), chunkIndex) : undefined
      return wrong && wrongLower(wrong)
    },
    release(shed) {
      for (const [socket, lower] of served) {
        if (!lower.sheds.delete(shed) || lower.sheds.size > 0) continue
        served.delete(socket)
        lower[Symbol.dispose]()
      }
    },
    [Symbol.dispose]() {
      for (const lower of served.values()) lower[Symbol.dispose]()
      served.clear()
    },
  }
}

/**
 * Those that read a lower in the same way share a server: how it fetches, and when it gives up, is the same for all of them. What cannot be verified before it is whole has one server for all,
 * who remembers what guests were given: it fetches, and gives up, as whoever came first has it.
 */
function socketOf(
  { runDirectory }: Pick<OpenLazyLowers, 'runDirectory'>,
  { chunkIndex, plain, reading }: LazyAttachment,
): string {
  const { fill, fail_after_ms: failAfter } = reading
  const isShared = plain === true || isDeepStrictEqual(reading, defaultLazyReading)
  const name = isShared ? 'nbd' : `nbd-${failAfter}-${fill}`
  return join(servingDirectory(runDirectory, chunkIndex), name)
}

/** The same for `lazy serve`; the boot trace is that of whoever came first. */
function optionsOf({ trace, reading: { fill, fail_after_ms: failAfter } }: LazyAttachment): string[] {
  const filled = fill === false ? [] : fill === true ? ['--fill'] : ['--fill-rate', String(fill)]
  const traced = trace === undefined ? [] : ['--trace', trace]
  return [...traced, ...filled, '--fail-after', failAfter === 'never' ? failAfter : `${failAfter}ms`]
}

interface ServeLower extends OpenLazyLowers {
  readonly watches: ProgressWatches
}

class ServedLower implements Disposable {
  readonly socket: string
  /** Those that read it. */
  readonly sheds = new Set<string>()
  readonly #options: ServeLower
  readonly #lower: LazyAttachment
  readonly #directory: string
  readonly #closed = new AbortController()
  #watch: NbdWatch | undefined
  #whole: Disposable | undefined
  #progress: JoinedWatch | undefined
  #starting: Promise<void> | undefined
  #following: Promise<void> | undefined
  /** An earlier daemon has had it served, and this one has not looked yet. */
  #isOfEarlier = false

  constructor(options: ServeLower, lower: LazyAttachment) {
    this.#options = options
    this.#lower = lower
    this.#directory = servingDirectory(options.runDirectory, lower.chunkIndex)
    this.socket = socketOf(options, lower)
  }

  get chunkIndex(): Digest {
    return this.#lower.chunkIndex
  }

  get isWatched(): boolean {
    return this.#watch !== undefined
  }

  /** How far it was a moment ago; the same value for as long as it is the same. */
  get progress(): LazyProgress | undefined {
    return this.#progress?.progress
  }

  /** Resolves when it is served. One server is started for all who ask at the same time, and none of them can cancel it for the others. */
  async ensure({ signal, onProgress }: LongWork = {}): Promise<void> {
    if (this.#watch !== undefined) return
    onProgress?.({ phase: 'attach', item: this.#lower.reference, done: 0 })
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined
    })
    await orCancelled(this.#starting, signal)
  }

  /** As `follow`, of one that a VM reads already: when nobody serves it, whoever did has ended while there was no daemon. */
  adopt(): void {
    if (this.#watch === undefined && this.#following === undefined) this.#isOfEarlier = true
    this.follow()
  }

  /** Starts one again and again until there is one, or nobody reads it any more. @param afterMs not at once */
  follow(afterMs = 0): void {
    this.#following ??= this.#follow(afterMs).finally(() => {
      this.#following = undefined
    })
  }

  [Symbol.dispose](): void {
    this.#closed.abort()
    this.#progress?.[Symbol.dispose]()
    this.#watch?.[Symbol.dispose]()
    this.#whole?.[Symbol.dispose]()
    if (this.#whole !== undefined) this.#options.wholes.leave(this.#lower.chunkIndex)
  }

  async #follow(afterMs: number): Promise<void> {
    let told = false
    if (afterMs > 0) await sleep(afterMs)
    while (!this.#closed.signal.aborted) {
      try {
        return await this.ensure()
      } catch (error) {
        if (!told) this.#tell('lazy.unserved', error instanceof Error ? error.message : String(error))
        told = true
        await sleep(retryMs)
      }
    }
  }

  async #start(): Promise<void> {
    const { images } = this.#options
    await makeServingDirectory(this.#directory)
    const found = await watchNbd(this.socket)
    if (found === undefined && this.#isOfEarlier) this.#tell('lazy.restarted', ended)
    this.#isOfEarlier = false
    if (found === undefined) await images.ensureLazySource(this.#lower)
    const watch = found ?? (await this.#spawn().catch((error: unknown) => this.#notServed(error)))
    // QEMU is another user, and nobody else gets below the run directory.
    await chmod(this.socket, 0o666)
    this.#keep(watch)
  }

  /** It may have been found to be wrong, which is known by a note in its directory, and nobody watches that. */
  #notServed(error: unknown): never {
    if (isProblem(error, 'DIGEST_MISMATCH')) this.#options.wholes.look(this.#lower.chunkIndex)
    throw error
  }

  /** From now on it is there until the connection says otherwise. */
  #keep(watch: NbdWatch): void {
    if (this.#closed.signal.aborted) {
      watch[Symbol.dispose]()
      return
    }
    this.#watch = watch
    this.#whole ??= this.#options.wholes.follow(this.#lower.chunkIndex)
    const { reference, chunkIndex } = this.#lower
    this.#progress ??= this.#options.watches.join({
      directory: this.#directory,
      reference,
      chunkIndex,
      sheds: this.sheds,
    })
    const begun = performance.now()
    void watch.gone.then(() => {
      this.#watch = undefined
      if (this.#closed.signal.aborted) return
      this.#tell('lazy.restarted', ended)
      // One that cannot even begin is not started as fast as it ends.
      this.follow(performance.now() - begun < retryMs ? retryMs : 0)
    })
  }

  async #spawn(): Promise<NbdWatch> {
    const { launcher, root } = this.#options
    const logPath = join(this.#directory, 'log')
    const logFrom = (await stat(logPath).catch(() => undefined))?.size ?? 0
    const words = ['lazy', 'serve', this.#lower.chunkIndex, '--nbd', `unix:${this.socket}`, '--until-unused', '--json']
    const how = optionsOf(this.#lower)
    const args = [launcher, '--data', root, ...words, ...how]
    const { exited } = await spawnDetached({ command: process.execPath, args, logPath, inherit: [] })
    for (;;) {
      const watch = await watchNbd(this.socket)
      if (watch !== undefined) return watch
      if ((await within(exited, lookMs)) !== undefined) throw await whyEnded(logPath, logFrom)
    }
  }

  #tell(type: 'lazy.restarted' | 'lazy.unserved', what: string): void {
    const { reference, chunkIndex } = this.#lower
    const data = { chunk_index_digest: chunkIndex, sheds: [...this.sheds].sort() }
    this.#options.events.append({ type, subject: reference, message: `${reference}: ${what}`, data })
  }
}

async function orCancelled(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return await work
  // Whatever becomes of it has other owners.
  work.catch(() => {})
  const cancelled = () => new Problem('CANCELLED', 'the start was cancelled', { cause: signal.reason })
  if (signal.aborted) throw cancelled()
  let give = () => {}
  const aborted = new Promise<never>((_, reject) => {
    give = () => reject(cancelled())
    signal.addEventListener('abort', give, { once: true })
  })
  try {
    await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', give)
  }
}

/** What `--json` prints of an error. */
const Said = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }),
})

/** Of a server that has ended before it served: its own words, if it had any. */
async function whyEnded(logPath: string, from: number): Promise<Problem> {
  const said = (await readFile(logPath)).subarray(from).toString()
  for (const line of said.trimEnd().split('\n').reverse()) {
    const parsed = Said.safeParse(jsonOf(line))
    if (!parsed.success) continue
    const { code, message, hint } = parsed.data.error
    return new Problem(isCode(code) ? code : 'INTERNAL', message, hint === undefined ? {} : { hint })
  }
  return new Problem('TOOL_FAILED', `what was to serve the image has ended; its log: ${logPath}`)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isCode(code: string): code is ProblemCode {
  return Object.hasOwn(problemCodes, code)
}
