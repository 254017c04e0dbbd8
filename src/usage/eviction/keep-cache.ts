import { type Digest, formatSize, isProblem, type Problem } from '../../base/index.ts'
import type { CacheGrowth, CacheKeeper, Images } from '../../images/index.ts'
import type { EventLog } from '../../state/index.ts'
import type { CacheBudget, EvictableEntry, EvictionPlan, EvictionStep } from './plan-eviction.ts'

export interface KeepCache {
  readonly budget: CacheBudget
  /** What has to go to keep a budget, with nothing taken from these manifests. */
  readonly plan: (budget: CacheBudget, sparing: CacheGrowth['manifests']) => Promise<EvictionPlan>
  readonly images: Pick<Images, 'evict'>
  /** @returns whether it is gone: not when somebody serves it */
  readonly removeLazy: (chunkIndex: Digest) => Promise<boolean>
  readonly events: EventLog
  /** So many milliseconds pass from one eviction for the budget to the next: what was evicted may be needed again at once. */
  readonly coolDownMs?: number
}

export interface OpenCacheKeeper extends CacheKeeper {
  /** Nothing is evicted any more. */
  close(): Promise<void>
}

/**
 * Keeps the cache within a budget: after it has grown, and when something found no space. Whoever caused it is told, and so is the event log. One
 * eviction at a time; growth during the cool-down is looked at when that is over.
 */
export function openCacheKeeper(options: KeepCache): OpenCacheKeeper {
  const { budget, coolDownMs = 60_000, events } = options
  let last = Promise.resolve(false)
  let restedAt = 0
  let later: NodeJS.Timeout | undefined
  let closed = false

  const inTurn = (growth: CacheGrowth, wanted: CacheBudget): Promise<boolean> => {
    last = last.then(async () => {
      if (closed) return false
      try {
        const hasActed = await evictFor(options, growth, wanted)
        if (hasActed) restedAt = Date.now() + coolDownMs
        return hasActed
      } catch (error) {
        events.append({ type: 'cache.unkept', subject: 'cache', message: `nothing was evicted: ${messageOf(error)}` })
        return false
      }
    })
    return last
  }

  return {
    async grown(growth) {
      const rest = restedAt - Date.now()
      if (rest <= 0) await inTurn(growth, budget)
      else {
        // By then nobody waits for it; what the image needs is held by whoever uses it.
        later ??= setTimeout(() => {
          later = undefined
          void inTurn({ why: growth.why, manifests: [] }, budget)
        }, rest).unref()
      }
    },
    makeRoom: (growth, bytes) =>
      inTurn(growth, { ...budget, keepFreeBytes: Math.max(bytes, budget.keepFreeBytes ?? 0) }),
    async close() {
      closed = true
      clearTimeout(later)
      await last
    },
  }
}

async function evictFor(options: KeepCache, growth: CacheGrowth, wanted: CacheBudget) {
  const { steps } = await options.plan(wanted, growth.manifests)
  if (steps.length === 0) return false
  const kept = await evictSteps(steps, options)
  const gone = steps.filter(({ entry }) => !kept.has(entry))
  if (gone.length === 0) return false
  const bytes = gone.reduce((sum, { marginal }) => sum + marginal.atLeast, 0)
  const message = `${growth.why}: evicted from the cache ${namesOf(gone)} (${formatSize(bytes)}); ${budgetText(wanted)}`
  options.events.append({
    type: 'cache.evicted',
    subject: 'cache',
    message,
    data: {
      why: growth.why,
      bytes,
      entries: gone.map(({ entry, marginal }) => ({ name: entry.name, bytes: marginal.atLeast })),
    },
  })
  growth.onProgress?.({ phase: 'evict', done: bytes, total: bytes, message })
  return true
}

/** @returns those that have to stay after all */
async function evictSteps(
  steps: readonly EvictionStep[],
  { images, removeLazy }: KeepCache,
): Promise<Set<EvictableEntry>> {
  const kept = new Set<EvictableEntry>()
  const cached = steps.flatMap(({ entry }) => (entry.kind === 'lazy' ? [] : [entry]))
  const outcomes = await images.evict(
    cached.map(({ kind, digest, unit, lastUsedAt }) => ({ kind, digest, unit, ifUnusedSince: lastUsedAt })),
  )
  for (const [at, entry] of cached.entries()) if (outcomes[at]?.keptBy !== undefined) kept.add(entry)
  for (const { entry } of steps) {
    if (entry.kind === 'lazy' && !(await removeLazy(entry.chunkIndex))) kept.add(entry)
  }
  return kept
}

/** So many are named in one line; the event lists all. */
const named = 3

function namesOf(steps: readonly EvictionStep[]): string {
  const names = steps.slice(0, named).map(({ entry }) => entry.name)
  return [...names, ...(steps.length > named ? [`${steps.length - named} more`] : [])].join(', ')
}

function budgetText({ maxUsedBytes, keepFreeBytes }: CacheBudget): string {
  const parts = [
    ...(maxUsedBytes === undefined ? [] : [`it may take ${formatSize(maxUsedBytes)}`]),
    ...(keepFreeBytes === undefined ? [] : [`${formatSize(keepFreeBytes)} are to be free`]),
  ]
  return parts.join(', ')
}

function messageOf(error: unknown): string {
  return isProblem(error) ? (error as Problem).message : String(error)
}
