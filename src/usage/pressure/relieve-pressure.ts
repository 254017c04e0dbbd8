import { type Digest, formatSize } from '../../base/index.ts'
import type { PruneQuery, PruneScope } from '../../contract/index.ts'
import type { CacheGrowth } from '../../images/index.ts'
import type { EventLog } from '../../state/index.ts'
import type { PruneOutcome } from '../execute-prune.ts'
import type { PrunePlan, PruneStep } from '../plan-prune.ts'
import { chooseSteps } from './choose-steps.ts'

/** When a daemon prunes by itself, and what. */
export interface PressureSettings {
  /** Of the filesystem, in bytes. */
  readonly whenFreeBelow: number
  /** Until so many bytes are free. */
  readonly target: number
  readonly coolDownMs: number
  readonly scopes: readonly PruneScope[]
  /** Nothing that changed, came or was used in so many milliseconds. */
  readonly untilMs: number
}

export interface RelievePressure {
  readonly settings: PressureSettings
  readonly freeBytes: () => Promise<number>
  /** The measured plan of a prune, in which nothing of these manifests goes. */
  readonly plan: (query: Partial<PruneQuery>, sparing: readonly Digest[]) => Promise<PrunePlan>
  readonly execute: (plan: PrunePlan) => Promise<PruneOutcome>
  readonly events: EventLog
}

export interface PressureKeeper {
  /** Prunes if too little is free and the last time is long enough ago. Never throws. @returns whether anything has gone */
  check(growth?: CacheGrowth): Promise<boolean>
  /** What it did last, or could not do, for whoever asks what is on disk. */
  notes(): readonly string[]
  close(): Promise<void>
}

/** What is missed least first. Sheds and their images are one stage: an image may go when its last shed does. */
const stages: readonly (readonly PruneScope[])[] = [
  ['orphans', 'logs'],
  ['cache'],
  ['lazy'],
  ['layers'],
  ['instances', 'images'],
]
const everyMs = 60_000

/**
 * Prunes when the disk runs full. It asks the plan of a prune what each step frees, takes no more of them than bring the free space to the target, and none that
 * frees nothing. Whatever it did, or could not do, is an event, a line of the log, and a note of df.
 */
export function openPressureKeeper(options: RelievePressure): PressureKeeper {
  const { settings, freeBytes, events } = options
  let last: Promise<boolean> = Promise.resolve(false)
  let restsUntil = 0
  let note: string | undefined
  let closed = false

  const tell = (type: string, message: string, data: Record<string, unknown>) => {
    note = `${new Date().toISOString()}: ${message}`
    events.append({ type, subject: 'disk', message, data })
  }
  const act = async (growth: CacheGrowth | undefined): Promise<boolean> => {
    if (closed || Date.now() < restsUntil) return false
    const free = await freeBytes()
    if (free >= settings.whenFreeBelow) return false
    restsUntil = Date.now() + settings.coolDownMs
    const why = `${formatSize(free)} were free, less than ${formatSize(settings.whenFreeBelow)}`
    const { done, reclaimed } = await relieve(options, growth?.manifests ?? [])
    if (done.length === 0) {
      tell('prune.unable', `${why}: nothing that may go (${settings.scopes.join(', ')}) would free anything`, { free })
      return false
    }
    const message = `${why}: pruned ${namesOf(done)}; ${formatSize(reclaimed)} came back`
    tell('prune.automatic', message, { free, reclaimed_bytes: reclaimed, items: done.map(({ item }) => item) })
    growth?.onProgress?.({ phase: 'prune', done: reclaimed, total: reclaimed, message })
    return true
  }
  const check = (growth?: CacheGrowth): Promise<boolean> => {
    last = last.then(async () => {
      try {
        return await act(growth)
      } catch (error) {
        // Whatever it was, what has grown has grown, and the next look is not to fail for this one.
        tell('prune.unable', `nothing was pruned: ${error instanceof Error ? error.message : error}`, {})
        return false
      }
    })
    return last
  }
  const timer = setInterval(() => void check(), everyMs).unref()
  return {
    check,
    notes: () => (note === undefined ? [] : [`pruned by itself, as prune.when_free_below says: ${note}`]),
    async close() {
      closed = true
      clearInterval(timer)
      await last
    },
  }
}

async function relieve({ settings, freeBytes, plan, execute }: RelievePressure, sparing: readonly Digest[]) {
  const done: PruneStep[] = []
  let reclaimed = 0
  for (const stage of stages) {
    const scope = stage.filter((one) => settings.scopes.includes(one))
    const short = settings.target - (await freeBytes())
    if (short <= 0) break
    if (scope.length === 0) continue
    const planned = await plan({ scope, until_ms: settings.untilMs }, sparing)
    const steps = chooseSteps(planned.steps, short)
    if (steps.length === 0) continue
    const outcome = await execute({ ...planned, steps })
    done.push(...steps.filter(({ item }) => outcome.done.includes(item)))
    reclaimed += outcome.reclaimedBytes
  }
  return { done, reclaimed }
}

/** So many are named in one line; the event lists all. */
const named = 3

function namesOf(steps: readonly PruneStep[]): string {
  const names = steps.slice(0, named).map(({ item }) => `${item.kind} ${item.name ?? item.path ?? ''}`.trimEnd())
  return [...names, ...(steps.length > named ? [`${steps.length - named} more`] : [])].join(', ')
}
