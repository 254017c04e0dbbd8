import { isDeepStrictEqual } from 'node:util'
import { printable, printableJson } from '../../base/index.ts'
import type { ProgressEvent } from '../../contract/index.ts'
import type { TerminalOutput } from '../terminal/terminal.ts'
import { drawBar } from './draw-bar.ts'
import { LayerLines } from './layer-lines.ts'
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
/** Of a terminal, however high it is. */
const mostLines = 16

/**
 * Shows the progress of long work: on a terminal a bar, or one for each layer that comes or goes; a line for each 10 % elsewhere; JSON lines for
 * programs.
 */
export function progressDisplay({
  output,
  mode,
  now = () => performance.now(),
}: ProgressDisplayOptions): ProgressDisplay {
  if (mode === 'none') return { report: () => {}, end: () => {} }
  if (mode === 'json')
    return { report: (progress) => void output.write(`${printableJson(JSON.stringify(progress))}\n`), end: () => {} }
  return output.isTTY === true ? bar(output, now) : lines(output, now)
}

function bar(output: TerminalOutput, now: () => number): ProgressDisplay {
  const phases = new PhaseTotals()
  const layers = new LayerLines()
  const started = now()
  let drawnAt = Number.NEGATIVE_INFINITY
  let shown: readonly string[] = []
  const size = () => ({
    columns: output.columns ?? 80,
    rows: Math.min(mostLines, Math.max(1, (output.rows ?? 24) - 1)),
  })
  return {
    report(progress) {
      if (progress.message !== undefined) {
        output.write(`${shown.length === 0 ? '' : erase(shown.length)}${printable(progress.message)}\n`)
        shown = []
        return
      }
      const total = layers.add(progress) ? undefined : phases.add(progress)
      const time = now()
      if (time - started < quietMs || time - drawnAt < redrawMs) return
      const lines = total === undefined ? layers.draw(size()) : [drawBar(total, size().columns)]
      // One write for erasing and drawing, and none when nothing changed: that is what keeps it from flickering.
      if (!isDeepStrictEqual(lines, shown)) output.write(erase(shown.length) + lines.join('\n'))
      shown = lines
      drawnAt = time
    },
    end() {
      if (shown.length > 0) output.write(erase(shown.length))
      shown = []
    },
  }
}

/** What takes away so many lines, the last of which the cursor stands in. */
function erase(lines: number): string {
  return lines > 1 ? `\x1b[${lines - 1}A\r\x1b[J` : clearLine
}

function lines(output: TerminalOutput, now: () => number): ProgressDisplay {
  const phases = new PhaseTotals()
  const started = now()
  // By phase: layers are downloaded and unpacked at the same time.
  const last = new Map<string, string>()
  return {
    report(progress) {
      if (progress.message !== undefined) return void output.write(`${printable(progress.message)}\n`)
      const { phase, done, total } = phases.add(progress)
      if (now() - started < quietMs) return
      const tenth = total === undefined || total === 0 ? undefined : Math.min(10, Math.floor((done / total) * 10)) * 10
      const line = tenth === undefined ? `${phase}…` : `${phase}: ${tenth} %`
      if (line !== last.get(phase)) output.write(`${line}\n`)
      last.set(phase, line)
    },
    end() {},
  }
}
