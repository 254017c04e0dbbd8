import { type Digest, Problem } from '../../base/index.ts'

export const bootTraceLimits = {
  /** Of a trace: no boot reads so many runs. */
  bytes: 1 << 20,
  /** 256 MiB of the lower: whoever reads more is copying it. */
  leaves: 4096,
  /** How many boots one trace is made of. */
  boots: 255,
} as const

/** Leaves of a lower, one after the other. */
export interface LeafRun {
  /** The number of the first one. */
  readonly first: number
  readonly count: number
}

/** Which leaves of a lower a boot touches, in the order of their first touches. */
export interface BootTrace {
  /** Which lower: a trace says nothing of any other. */
  readonly chunkIndex: Digest
  /** How many boots it is made of. */
  readonly boots: number
  /** No leaf is in two of them. */
  readonly runs: readonly LeafRun[]
}

/** The leaves of a trace, in their order. */
export function leavesOf({ runs }: Pick<BootTrace, 'runs'>): number[] {
  return runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, at) => first + at))
}

/** A trace and what another boot has touched beyond it, in its order; as much as a trace may have. @param touched numbers of leaves, none twice */
export function addToTrace(trace: BootTrace, touched: readonly number[]): BootTrace {
  const known = leavesOf(trace)
  const has = new Set(known)
  const leaves = [...known, ...touched.filter((leaf) => !has.has(leaf))].slice(0, bootTraceLimits.leaves)
  return { ...trace, boots: Math.min(trace.boots + 1, bootTraceLimits.boots), runs: runsOf(leaves) }
}

function runsOf(leaves: readonly number[]): LeafRun[] {
  const runs: { first: number; count: number }[] = []
  for (const leaf of leaves) {
    const last = runs.at(-1)
    if (last !== undefined && leaf === last.first + last.count) last.count++
    else runs.push({ first: leaf, count: 1 })
  }
  return runs
}

/** Whether a trace may be called that: it is the name of a file. */
export function isTraceName(name: string): boolean {
  return /^[a-z0-9][a-z0-9._-]{0,62}$/.test(name)
}

export function invalidTrace(why: string): Problem {
  return new Problem('BOOT_TRACE_INVALID', `not a usable boot trace: ${why}`)
}
