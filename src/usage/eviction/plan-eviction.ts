import { type Digest, formatDuration } from '../../base/index.ts'
import { addBytes, type Bytes, noBytes } from '../accounting/space.ts'
import type { CachedEntry } from './cached-entry.ts'
import type { LazyEntry } from './lazy-entry.ts'

/** What may be evicted. */
export type EvictableEntry = CachedEntry | LazyEntry

/** How much of a disk what is made from images may take. */
export interface CacheBudget {
  /** The cache may take so many bytes. */
  readonly maxUsedBytes?: number | undefined
  /** So many bytes of the filesystem must be free. */
  readonly keepFreeBytes?: number | undefined
}

/** What of the disk files hold, and what they free. */
export interface EvictionFigures {
  /** What all entries together have on disk, each byte once. */
  readonly used: Bytes
  /** What each of the entries that may go frees when they go in this order, each with all before it gone. */
  readonly marginal: readonly Bytes[]
  /** Of the first so many of them: those that free next to nothing, because they share what they have with what is not among them. */
  useless(count: number): Promise<ReadonlySet<number>>
}

export interface PlanEviction {
  /** The longest unused first. */
  readonly entries: readonly EvictableEntry[]
  /** Without one all goes that may. */
  readonly budget?: CacheBudget | undefined
  /** Of the filesystem. */
  readonly freeBytes: number
  /** Only what has not been used for so many milliseconds. */
  readonly unusedForMs?: number | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Manifests that nothing may be taken from. */
  readonly sparing?: ReadonlySet<Digest> | undefined
  readonly figures: (going: readonly EvictableEntry[]) => Promise<EvictionFigures>
}

export interface EvictionStep {
  readonly entry: EvictableEntry
  /** What it frees once the steps before it are done: 0 for what a later step shares. */
  readonly marginal: Bytes
}

export interface EvictionPlan {
  readonly steps: readonly EvictionStep[]
  readonly kept: readonly { readonly entry: EvictableEntry; readonly reason: string }[]
  /** What the cache takes now. */
  readonly used: Bytes
  /** What the budget still lacks when all steps are done. */
  readonly shortBytes: number
}

/**
 * Which entries of the cache go: all that may, or the longest unused until the budget is kept. An entry may free next to nothing by itself, because
 * another one shares what it has; it goes if that one goes too, and the bytes are then counted with the last of them.
 */
export async function planEviction(given: PlanEviction): Promise<EvictionPlan> {
  const { entries, figures } = given
  const reasons = new Map(entries.map((entry) => [entry, whyKept(entry, given)]))
  const going = entries.filter((entry) => reasons.get(entry) === undefined)
  const all = await figures(going)
  const wanted = wantedBytes(given, all.used)
  const { steps, considered } = await chooseSteps({ going, all, wanted, figures })
  const freed = steps.reduce((sum, step) => addBytes(sum, step.marginal), noBytes)
  const chosen = new Set(steps.map(({ entry }) => entry))
  return {
    steps,
    used: all.used,
    shortBytes: Math.max(0, (wanted ?? 0) - freed.atLeast),
    kept: entries.flatMap((entry) => {
      if (chosen.has(entry)) return []
      const isIdle = going.indexOf(entry) < considered
      return [{ entry, reason: reasons.get(entry) ?? (isIdle ? sharesAll : 'the budget is kept without it') }]
    }),
  }
}

const sharesAll = 'it would free next to nothing: what stays shares what it has'

interface Choice extends Pick<PlanEviction, 'figures'> {
  readonly going: readonly EvictableEntry[]
  readonly all: EvictionFigures
  readonly wanted: number | undefined
}

/** @returns the steps, and how many entries were looked at for them */
async function chooseSteps({ going, all, wanted, figures }: Choice) {
  let count = wanted === undefined ? going.length : enough(all.marginal, wanted)
  for (;;) {
    const idle = await all.useless(count)
    const chosen = going.slice(0, count).filter((_, at) => !idle.has(at))
    // What some of those that stay now have frees nothing any more.
    const { marginal } = idle.size === 0 ? all : await figures(chosen)
    const freed = sumOf(marginal.slice(0, chosen.length))
    if (wanted === undefined || freed >= wanted || count === going.length) {
      return { steps: chosen.map((entry, at) => ({ entry, marginal: marginal[at] ?? noBytes })), considered: count }
    }
    const lost = sumOf(all.marginal.slice(0, count)) - freed
    count = Math.max(count + 1, enough(all.marginal, wanted + lost))
  }
}

function sumOf(bytes: readonly Bytes[]): number {
  return bytes.reduce((sum, { atLeast }) => sum + atLeast, 0)
}

function whyKept(entry: EvictableEntry, { unusedForMs, now, sparing }: PlanEviction): string | undefined {
  if (entry.keptBy !== undefined) return entry.keptBy
  if (entry.manifests.some((manifest) => sparing?.has(manifest))) return 'in use at this moment'
  const unused = now - entry.lastUsedAt
  if (unusedForMs === undefined || unused >= unusedForMs) return undefined
  return `used too recently (${formatDuration(unused)} < ${formatDuration(unusedForMs)})`
}

/** How many bytes must be freed; undefined when there is no budget. */
function wantedBytes({ budget, freeBytes }: PlanEviction, used: Bytes): number | undefined {
  const wants = [
    ...(budget?.maxUsedBytes === undefined ? [] : [used.atMost - budget.maxUsedBytes]),
    ...(budget?.keepFreeBytes === undefined ? [] : [budget.keepFreeBytes - freeBytes]),
  ]
  return wants.length === 0 ? undefined : Math.max(0, ...wants)
}

/** How many of them, from the first on, free so much; all, when even those do not. */
function enough(marginal: readonly Bytes[], wanted: number): number {
  let freed = 0
  for (const [at, { atLeast }] of marginal.entries()) {
    if (freed >= wanted) return at
    freed += atLeast
  }
  return marginal.length
}
