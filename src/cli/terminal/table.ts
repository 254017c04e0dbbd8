import { displayWidth } from './display-width.ts'

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => string
  /** Numbers stand on the right. */
  readonly align?: 'left' | 'right'
}

const gap = '  '

/** Rows under their titles, aligned; without trailing blanks, so that the last column may be of any length. Cells must be printable already. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const lines = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ cell }) => cell(row)))]
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => displayWidth(line[at] ?? ''))))
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, at) => pad(cell, widths[at] ?? 0, columns[at]?.align))
          .join(gap)
          .trimEnd()}\n`,
    )
    .join('')
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
