import type { Summary } from './statistics.ts'

/** What a file of bench/ exports as `bench`; its file name is its name on the command line. */
export interface Bench {
  /** One line: what is done, against whom. */
  readonly about: string
  readonly run: (options: BenchOptions) => Promise<BenchReport>
}

export interface BenchOptions {
  /** Interleaved runs of each contestant. */
  readonly runs: number
  /** Smaller inputs, to see whether a bench works at all; its figures say nothing. */
  readonly small: boolean
  /** For people who wait. */
  readonly say: (line: string) => void
}

export interface BenchReport {
  readonly rows: readonly (Measured | Ratio | Absent)[]
  readonly notes: readonly string[]
}

/** What one contestant took. */
export interface Measured extends Summary {
  readonly kind: 'measured'
  readonly name: string
  readonly unit: 'ms' | 'MB' | 'KiB' | 'GETs'
}

/** One contestant by another, run by run. */
export interface Ratio extends Summary {
  readonly kind: 'ratio'
  readonly name: string
  /** The median should be at most this. */
  readonly goal: number
}

/** A peer that this machine does not have. */
export interface Absent {
  readonly kind: 'absent'
  readonly name: string
  readonly why: string
}
