import { displayWidth, shorten } from './display-width.ts'
import type { TerminalOutput } from './terminal.ts'

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => string
  /** Numbers stand on the right. */
  readonly align?: 'left' | 'right'
  /** Its middle may be left out where the terminal is too narrow: of paths, say. */
  readonly shrinks?: true
}

const gap = '  '
/** Less than this of a cell would tell nothing. */
const least = 16

/**
 * Rows under their titles, aligned; without trailing blanks, so that the last column may be of any length. Cells must be printable already.
 *
 * @param width in columns of a terminal: what may shrink does, until lines fit
 */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width?: number): string {
  const lines = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ cell }) => cell(row)))]
  const natural = columns.map((_, at) => Math.max(...lines.map((line) => displayWidth(line[at] ?? ''))))
  const widths = width === undefined ? natural : fitted(columns, natural, width)
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, at) => pad(shorten(cell, widths[at] ?? 0), widths[at] ?? 0, columns[at]?.align))
          .join(gap)
          .trimEnd()}\n`,
    )
    .join('')
}

/** The widest of those that may shrink gives a column, until it is enough or none can. */
function fitted<Row>(columns: readonly Column<Row>[], natural: readonly number[], width: number): number[] {
  const widths = [...natural]
  let over = widths.reduce((sum, each) => sum + each, gap.length * (widths.length - 1)) - width
  while (over-- > 0) {
    const shrinkable = columns.flatMap(({ shrinks }, at) => (shrinks === true ? [widths[at] ?? 0] : []))
    const widest = Math.max(0, ...shrinkable)
    if (widest <= least) break
    const at = columns.findIndex(({ shrinks }, column) => shrinks === true && widths[column] === widest)
    widths[at] = widest - 1
  }
  return widths
}

/** How wide what is printed may be; undefined where nobody looks at it on a terminal. */
export function widthOf({ isTTY, columns = 80 }: TerminalOutput): number | undefined {
  return isTTY === true ? columns : undefined
}

/** Names and values below each other, for one thing. */
export function details(pairs: readonly (readonly [name: string, value: string | undefined])[]): string {
  const shown = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined)
  const width = Math.max(...shown.map(([name]) => displayWidth(name)))
  return shown.map(([name, value]) => `${`${pad(`${name}:`, width + 1)}${gap}${value}`.trimEnd()}\n`).join('')
}

function pad(cell: string, width: number, align: 'left' | 'right' = 'left'): string {
  const blanks = ' '.repeat(Math.max(0, width - displayWidth(cell)))
  return align === 'right' ? blanks + cell : cell + blanks
}
