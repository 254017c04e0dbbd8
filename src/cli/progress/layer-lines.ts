import { formatSize, printable } from '../../base/index.ts'
import type { ProgressEvent } from '../../contract/index.ts'
import { truncate } from '../terminal/display-width.ts'
import { drawBar } from './draw-bar.ts'

/** What a layer goes through on its way here or from here, in this order. */
const stages = ['download', 'unpack', 'push'] as const

type Stage = (typeof stages)[number]

/** The layers of a pull or a push, a line for each: which stage it is at, and how far. */
export class LayerLines {
  readonly #layers = new Map<string, Map<Stage, ProgressEvent>>()

  /** @returns whether it was about a layer that comes or goes: what is unpacked without a download is none */
  add(progress: ProgressEvent): boolean {
    const { phase, item } = progress
    if (item === undefined || !isStage(phase)) return false
    const layer = this.#layers.get(item)
    if (layer === undefined && phase === 'unpack') return false
    this.#layers.set(item, (layer ?? new Map<Stage, ProgressEvent>()).set(phase, progress))
    return true
  }

  /** As many lines as fit, those of layers that are done last; none is wider than the terminal. */
  draw({ columns, rows }: { readonly columns: number; readonly rows: number }): string[] {
    const layers = [...this.#layers].map(([item, events]) => ({ item, current: currentStage(events), events }))
    const busy = layers.filter(({ current }) => current !== undefined)
    const done = layers.filter(({ current }) => current === undefined)
    const lines = [
      ...busy.map(({ item, current }) => barOf(item, current, columns)),
      ...done.map(({ item, events }) => doneLine(item, events, columns)),
    ]
    if (lines.length <= rows) return lines
    const shown = Math.max(0, rows - 1)
    return [...lines.slice(0, shown), truncate(`and ${lines.length - shown} more (${done.length} done)`, columns - 1)]
  }
}

function isStage(phase: string): phase is Stage {
  return (stages as readonly string[]).includes(phase)
}

/** The first stage that is not over; undefined when all are. */
function currentStage(events: ReadonlyMap<Stage, ProgressEvent>): ProgressEvent | undefined {
  return stages.map((stage) => events.get(stage)).find((event) => event !== undefined && event.done !== event.total)
}

function barOf(item: string, current: ProgressEvent | undefined, columns: number): string {
  if (current === undefined) return ''
  return drawBar({ phase: `${item}  ${current.phase.padEnd(8)}`, done: current.done, total: current.total }, columns)
}

function doneLine(item: string, events: ReadonlyMap<Stage, ProgressEvent>, columns: number): string {
  const [first] = events.values()
  return truncate(`${printable(item)}  done      ${formatSize(first?.total ?? 0)}`, columns - 1)
}
