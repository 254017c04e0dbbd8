/**
 * Runs benchmarks, each beside its peers in one run, prints what they found and writes it to bench/results/.
 *
 *     npm run bench -- [NAME…] [--runs N] [--small]
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Bench } from './support/bench.ts'
import { describeMachine } from './support/machine.ts'
import { reportText } from './support/report-text.ts'

const here = import.meta.dirname

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { runs: { type: 'string', default: '5' }, small: { type: 'boolean', default: false } },
  })
  const all = benchNames()
  const unknown = positionals.filter((name) => !all.includes(name))
  if (unknown.length > 0)
    throw new Error(`no benchmark is called ${unknown.join(' or ')}; there are: ${all.join(', ')}`)
  for (const name of positionals.length > 0 ? positionals : all) {
    await runBench(name, { runs: Number(values.runs), small: values.small })
  }
}

/** Every file beside this one. */
function benchNames(): string[] {
  const files = readdirSync(here).filter((file) => file.endsWith('.ts') && file !== 'run.ts')
  return files.map((file) => basename(file, '.ts')).sort()
}

async function runBench(name: string, options: { readonly runs: number; readonly small: boolean }): Promise<void> {
  const { bench } = (await import(`./${name}.ts`)) as { bench: Bench }
  const machine = describeMachine(tmpdir())
  console.error(`${name}: ${bench.about}`)
  const report = await bench.run({ ...options, say: (line) => console.error(`  ${line}`) })
  const text = reportText({ name, about: bench.about, machine, ...report })
  console.log(text)
  saveResults(name, { about: bench.about, at: new Date().toISOString(), machine, options, ...report }, text)
}

function saveResults(name: string, results: object, text: string): void {
  mkdirSync(join(here, 'results'), { recursive: true })
  writeFileSync(join(here, 'results', `${name}.json`), `${JSON.stringify(results, null, 2)}\n`)
  writeFileSync(join(here, 'results', `${name}.txt`), text)
}

await main()
