import { printable } from '../../base/index.ts'
import type { ProgressEvent } from '../../contract/index.ts'
import type { TerminalOutput } from '../terminal/terminal.ts'
import { drawBar } from './draw-bar.ts'
import { PhaseTotals } from './phase-totals.ts'

export type ProgressMode = 'auto' | 'json' | 'none'

export interface ProgressDisplay {
  report(progress: ProgressEvent): void
  /** Takes the bar away: what comes next stands on a clean line. */
  end(): void
}

export interface ProgressDisplayOptions {
  readonly output: TerminalOutput
  readonly mode: ProgressMode
  /** Milliseconds, for tests. */
  readonly now?: () => number
}

/** Work that is over sooner shows nothing. */
const quietMs = 500
const redrawMs = 100
const clearLine = '\r\x1b[K'

/** Shows the progress of long work: a bar on a terminal, a line for each 10 % elsewhere, JSON lines for programs. */
export function progressDisplay({
  output,
  mode,
  now = () => performance.now(),
}: ProgressDisplayOptions): ProgressDisplay {
  if (mode === 'none') return { report: () => {}, end: () => {} }
  if (mode === 'json')
    return { report: (progress) => void output.write(`${JSON.stringify(progress)}\n`), end: () => {} }
  return output.isTTY === true ? bar(output, now) : lines(output, now)
}

function bar(output: TerminalOutput, now: () => number): ProgressDisplay {
  const phases = new PhaseTotals()
  const started = now()
  let drawnAt = Number.NEGATIVE_INFINITY
  let shown = ''
  return {
    report(progress) {
      if (progress.message !== undefined) {
        output.write(`${shown === '' ? '' : clearLine}${printable(progress.message)}\n`)
        shown = ''
        return
      }
      const total = phases.add(progress)
      const time = now()
      if (time - started < quietMs || time - drawnAt < redrawMs) return
      const line = drawBar(total, output.columns ?? 80)
      // One write for erasing and drawing, and none when nothing changed: that is what keeps it from flickering.
      if (line !== shown) output.write(clearLine + line)
      shown = line
      drawnAt = time
    },
    end() {
      if (shown !== '') output.write(clearLine)
      shown = ''
    },
  }
}

function lines(output: TerminalOutput, now: () => number): ProgressDisplay {
  const phases = new PhaseTotals()
  const started = now()
  let last = ''
  return {
    report(progress) {
      if (progress.message !== undefined) return void output.write(`${printable(progress.message)}\n`)
      const { phase, done, total } = phases.add(progress)
      if (now() - started < quietMs) return
      const tenth = total === undefined || total === 0 ? undefined : Math.min(10, Math.floor((done / total) * 10)) * 10
      const line = tenth === undefined ? `${phase}…` : `${phase}: ${tenth} %`
      if (line !== last) output.write(`${line}\n`)
      last = line
    },
    end() {},
  }
}
