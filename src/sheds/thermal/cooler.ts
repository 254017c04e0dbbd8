import { isDeepStrictEqual } from 'node:util'
import { isProblem } from '../../base/index.ts'
import type { ThermalSettings } from '../../contract/index.ts'
import type { ShedsContext } from '../context.ts'
import { recallShed } from '../records/load-shed.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import type { LiveShed } from '../vm/live-shed.ts'
import { colderTemperature, coolShed } from './cool-shed.ts'
import { GuestActivity } from './guest-activity.ts'
import { coolsByItself, thermalSettings } from './thermal-settings.ts'

/** How often it is looked who is idle, in milliseconds: as exact as the shortest time that can be set. */
const lookMs = 1000

/** Over how long it is looked whether a guest is at work, in milliseconds, unless it is to become colder sooner than twice that. */
const activityMs = 5000

/** How long a shed that could not be made colder is let be, in milliseconds, unless it is set otherwise: each attempt writes all of its RAM. */
const retryMs = 5 * 60e3

interface Failure {
  /** Messages may name something that is another each time. */
  readonly code: string
  readonly at: number
  /** What was set of it then. */
  readonly settings: ThermalSettings
}

/** Makes sheds that nobody uses less than hot, as they or config.toml say: the one who does so unasked. */
export class Cooler implements Disposable {
  readonly #context: ShedsContext
  readonly #activity = new GuestActivity()
  /** What kept a shed from becoming colder: told once, not at each attempt. */
  readonly #failures = new Map<string, Failure>()
  readonly #timer: NodeJS.Timeout

  constructor(context: ShedsContext) {
    this.#context = context
    this.#timer = setInterval(() => this.#look(), lookMs).unref()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const { live } = this.#context
    this.#activity.keepOnly(new Set([...live.values()].map(({ machine }) => machine.record.id)))
    for (const name of this.#failures.keys()) if (!live.has(name)) this.#failures.delete(name)
    for (const shed of live.values()) void this.#lookAt(shed)
  }

  async #lookAt(shed: LiveShed): Promise<void> {
    const { name } = shed
    const { transitions } = this.#context
    try {
      const record = await this.#isToCool(shed)
      if (record !== undefined && !transitions.isBusy(name)) await this.#cool(record)
    } catch (error) {
      // Its record cannot be read now. Whoever uses it is told.
      if (!isProblem(error)) throw error
    }
  }

  /** @returns its record if it is time */
  async #isToCool({ name, machine, exit }: LiveShed): Promise<ShedRecord | undefined> {
    const { uses, transitions, idle } = this.#context
    if (exit !== undefined || transitions.isBusy(name)) return undefined
    const { record } = (await recallShed(this.#context, name)) ?? {}
    if (record === undefined) return undefined
    const settings = thermalSettings(record, idle)
    if (!coolsByItself(settings)) return undefined
    if (record.status === 'running' && this.#activity.isAtWork(machine.record, windowOf(settings))) uses.touch(name)
    const isDue = colderTemperature(this.#context, record) !== undefined
    return isDue && !this.#hasFailedLately(name, settings) ? record : undefined
  }

  async #cool(record: ShedRecord): Promise<void> {
    const { name } = record
    try {
      await this.#context.transitions.run(name, async () => await coolShed(this.#context, name))
      this.#failures.delete(name)
    } catch (error) {
      if (!hasGone(error)) this.#noteFailure(record, error)
    }
  }

  #hasFailedLately(name: string, settings: ThermalSettings): boolean {
    const failure = this.#failures.get(name)
    if (failure === undefined || !isDeepStrictEqual(failure.settings, settings)) return false
    return performance.now() - failure.at < retryMs
  }

  #noteFailure(record: ShedRecord, error: unknown): void {
    const { name } = record
    const code = isProblem(error) ? error.code : String(error)
    const isNews = this.#failures.get(name)?.code !== code
    const settings = thermalSettings(record, this.#context.idle)
    this.#failures.set(name, { code, at: performance.now(), settings })
    if (!isNews) return
    this.#context.events.append({
      type: 'shed.not_cooled',
      subject: name,
      message: `nobody uses ${name}, but it cannot be made colder: ${error instanceof Error ? error.message : String(error)}`,
    })
  }
}

/** It was deleted, has ended by itself, or the daemon is going. */
function hasGone(error: unknown): boolean {
  return ['SHED_NOT_FOUND', 'SHED_NOT_RUNNING', 'CANCELLED'].some((code) => isProblem(error) && error.code === code)
}

function windowOf({ warm_after_ms, cold_after_ms }: ThermalSettings): number {
  const times = [warm_after_ms, cold_after_ms].filter((time) => time !== 'never')
  return Math.min(activityMs, ...times.map((time) => time / 2))
}
