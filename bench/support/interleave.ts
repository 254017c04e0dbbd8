import { execFileSync } from 'node:child_process'

export interface Interleave<Name extends string> {
  readonly runs: number
  /** In this order, each once per run; each gives what it measured. */
  readonly contestants: Readonly<Record<Name, () => Promise<number>>>
  readonly say: (line: string) => void
}

/** Lets contestants run in turns, so that a noisy neighbour hits all of them. @returns the values of each, run by run */
export async function interleave<Name extends string>({
  runs,
  contestants,
  say,
}: Interleave<Name>): Promise<Record<Name, number[]>> {
  const names = Object.keys(contestants) as Name[]
  const values = Object.fromEntries(names.map((name): [Name, number[]] => [name, []])) as Record<Name, number[]>
  for (let run = 1; run <= runs; run++) {
    for (const name of names) {
      // What others have left to be written must not be written on this one's time.
      execFileSync('sync')
      const value = await contestants[name]()
      values[name].push(value)
      say(`run ${run}/${runs} ${name}: ${value < 100 ? value.toFixed(2) : Math.round(value)}`)
    }
  }
  return values
}
