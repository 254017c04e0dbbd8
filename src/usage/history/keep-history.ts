import { formatDuration, Problem } from '../../base/index.ts'
import type { UsageGrowth, UsageReport } from '../../contract/index.ts'
import type { UsageHistory } from '../../state/index.ts'
import { samplesOf } from './samples-of.ts'
import { usageGrowth } from './usage-growth.ts'

export interface KeepHistory {
  readonly history: UsageHistory
  readonly report: () => Promise<UsageReport>
}

export interface HistoryKeeper {
  /** A report that somebody asked for is a sample too, when the hour has none yet. It is written when they have had their answer. */
  note(report: UsageReport): void
  /** @throws Problem USAGE_NOT_SAMPLED */
  growth(sinceMs: number): Promise<UsageGrowth>
  close(): void
}

/** How often it is looked whether a sample is due; what has not changed since the last one is not measured again. */
const tickMs = 10 * 60e3

/** How long a sample waits for the report that it is of to be sent. */
const afterAnswerMs = 500

/** Samples what is on disk once an hour, as long as the daemon runs. */
export function keepHistory({ history, report }: KeepHistory): HistoryKeeper {
  let noted: { readonly taken: UsageReport; readonly timer: NodeJS.Timeout } | undefined
  const write = (taken: UsageReport) => {
    const now = Date.parse(taken.generated_at)
    if (history.isDue(now)) history.record(now, samplesOf(taken))
  }
  const writeNoted = () => {
    if (noted === undefined) return
    const { taken, timer } = noted
    noted = undefined
    clearTimeout(timer)
    write(taken)
  }
  const timer = setInterval(() => {
    // Of a disk that cannot be looked at now there is no sample; whoever asks for a report is told why.
    if (history.isDue(Date.now())) void report().then(write, () => undefined)
  }, tickMs).unref()
  return {
    note(taken) {
      noted ??= { taken, timer: setTimeout(writeNoted, afterAnswerMs).unref() }
    },
    async growth(sinceMs) {
      writeNoted()
      const now = Date.now()
      const past = history.before(now - sinceMs)
      if (past === undefined) throw notSampled(sinceMs, now, history.oldest())
      return usageGrowth(past, await report())
    },
    close() {
      clearInterval(timer)
      writeNoted()
    },
  }
}

function notSampled(sinceMs: number, now: number, oldest: number | undefined): Problem {
  const message = `nobody had looked at the disk ${formatDuration(sinceMs)} ago`
  if (oldest === undefined) {
    return new Problem('USAGE_NOT_SAMPLED', message, {
      hint: 'it is sampled once an hour from now on: try again later',
    })
  }
  const age = Math.max(0, Math.floor((now - oldest) / 1000))
  return new Problem('USAGE_NOT_SAMPLED', `${message}: the first sample is of ${new Date(oldest).toISOString()}`, {
    hint: `what has changed since: cowshed system df --since ${age}s`,
    data: { oldest: new Date(oldest).toISOString() },
  })
}
