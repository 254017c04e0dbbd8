/** One step of long work, as every room reports it: the daemon streams it, the CLI draws it. */
export interface Progress {
  /** What is being done: `load`, `unpack`, `lower`, `boot`… */
  readonly phase: string
  /** What it is being done to, when there are several: a short digest, a name. */
  readonly item?: string
  /** Bytes done so far; never decreases within a phase and item. */
  readonly done: number
  /** Bytes in all, when known. */
  readonly total?: number
  /** A line that a program printed on the way, as it printed it. Such a step counts for nothing else. */
  readonly message?: string
}

export type OnProgress = (progress: Progress) => void
