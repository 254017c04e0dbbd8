import type { BenchReport } from './bench.ts'

export interface NamedReport extends BenchReport {
  readonly name: string
  readonly about: string
  readonly machine: Readonly<Record<string, unknown>>
}

/** A report for people: a line for each row, then the notes and the machine. */
export function reportText({ name, about, machine, rows, notes }: NamedReport): string {
  const width = Math.max(...rows.map((row) => row.name.length))
  const lines = rows.map((row) => `  ${row.name.padEnd(width)}  ${figures(row)}`)
  const facts = Object.entries(machine).map(([key, value]) => `${key} ${value}`)
  return `${[`${name}: ${about}`, ...lines, ...notes.map((note) => `  note: ${note}`), `  ${facts.join(' · ')}`].join('\n')}\n`
}

function figures(row: BenchReport['rows'][number]): string {
  switch (row.kind) {
    case 'absent':
      return row.why
    case 'measured':
      return `${amount(row.median)} ${row.unit} (${amount(row.min)} to ${amount(row.max)}, ${row.values.length} runs)`
    case 'ratio': {
      const verdict = row.median <= row.goal ? 'met' : 'MISSED'
      return `${fixed(row.median, 2)}× (${fixed(row.min, 2)} to ${fixed(row.max, 2)}), goal ≤ ${row.goal}×: ${verdict}`
    }
  }
}

/** Three digits or more. */
function amount(value: number): string {
  return fixed(value, value < 10 ? 2 : value < 100 ? 1 : 0)
}

function fixed(value: number, digits: number): string {
  return value.toFixed(digits)
}
