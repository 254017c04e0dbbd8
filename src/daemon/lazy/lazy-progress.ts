import { LazyCounts, type LazyHeat, type LazyProgress } from '../../contract/index.ts'
import type { SeenLeaves } from '../../lazy/index.ts'
import type { Serving } from './serving-status.ts'

/** How far a lower is, from what those say who serve it, all of them together; undefined when nobody does. */
export function progressOf(serving: readonly Serving[]): LazyProgress | undefined {
  const alive = serving.filter(({ isAlive }) => isAlive)
  const [first, ...others] = alive
  if (first === undefined) return undefined
  const degraded = alive.find(({ degraded }) => degraded !== undefined)?.degraded
  const wrong = alive.find(({ wrong }) => wrong !== undefined)?.wrong
  return {
    ...shareOf(Math.max(...alive.map(({ here_bytes }) => here_bytes)), first.bytes),
    complete: alive.some(({ complete }) => complete),
    ...(degraded && { degraded }),
    ...(alive.some(({ unverified }) => unverified) && { unverified: true }),
    ...(wrong && { wrong }),
    heat: others.reduce((heat, other) => hotter(heat, other.heat), first.heat),
    counts: others.reduce((counts, other) => plus(counts, other.counts), first.counts),
  }
}

/** How far a lower is that nobody serves: what is here of it, and what those have said of it who served it last. */
export function progressAtRest(serving: readonly Serving[], seen: SeenLeaves, bytes: number): LazyProgress {
  const [last] = serving
  const { cellBytes, here, read, ahead } = seen.heat
  // What was read then is shown in the same cells: it is the same lower.
  return {
    ...shareOf(seen.hereBytes, bytes),
    complete: last?.complete === true && seen.hereBytes === bytes,
    heat: {
      cell_bytes: cellBytes,
      here: [...here],
      read: [...(last?.heat.read ?? read)],
      ahead: [...(last?.heat.ahead ?? ahead)],
    },
    counts: last?.counts ?? noCounts(),
  }
}

/** Only nothing is 0 %, and only all is 100 %. */
function shareOf(hereBytes: number, bytes: number): Pick<LazyProgress, 'here_bytes' | 'here_percent'> {
  const percent = Math.floor((hereBytes / Math.max(1, bytes)) * 100)
  return { here_bytes: hereBytes, here_percent: hereBytes === 0 ? 0 : Math.min(100, Math.max(1, percent)) }
}

function hotter(one: LazyHeat, other: LazyHeat): LazyHeat {
  const most = (mine: readonly number[], others: readonly number[]) =>
    mine.map((percent, cell) => Math.max(percent, others[cell] ?? 0))
  return {
    cell_bytes: one.cell_bytes,
    here: most(one.here, other.here),
    read: most(one.read, other.read),
    ahead: most(one.ahead, other.ahead),
  }
}

function plus(one: LazyCounts, other: LazyCounts): LazyCounts {
  return countsBy((name) => one[name] + other[name])
}

function noCounts(): LazyCounts {
  return countsBy(() => 0)
}

function countsBy(valueFor: (name: keyof LazyCounts) => number): LazyCounts {
  const names = Object.keys(LazyCounts.shape) as (keyof LazyCounts)[]
  return Object.fromEntries(names.map((name) => [name, valueFor(name)])) as LazyCounts
}
