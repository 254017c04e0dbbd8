import { formatSize, printable } from '../../base/index.ts'
import { displayWidth, truncate } from '../terminal/display-width.ts'
import type { PhaseTotal } from './phase-totals.ts'

const widestBar = 30
const narrowestBar = 8

/** One line of progress that fits into so many columns: what does not fit is left out, the bar first, then the sizes. */
export function drawBar({ phase, done, total }: PhaseTotal, columns: number): string {
  // The last column stays free: a character there would wrap on some terminals.
  const room = columns - 1
  const label = printable(phase)
  if (total === undefined || total === 0)
    return truncate(done > 0 ? `${label}  ${formatSize(done)}` : `${label}…`, room)
  const fraction = Math.min(1, done / total)
  const percent = `${String(Math.floor(fraction * 100)).padStart(3)} %`
  const sizes = `${formatSize(Math.min(done, total))} / ${formatSize(total)}`
  const short = `${label}  ${percent}`
  const long = `${short}  ${sizes}`
  const width = Math.min(widestBar, room - displayWidth(long) - 4)
  if (width >= narrowestBar) return `${label}  [${fill(fraction, width)}]${percent}  ${sizes}`
  return truncate(displayWidth(long) <= room ? long : short, room)
}

function fill(fraction: number, width: number): string {
  const full = Math.round(fraction * width)
  return '█'.repeat(full) + '░'.repeat(width - full)
}
