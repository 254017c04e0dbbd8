import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isOnPath } from '../test/support/needs.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { image, launcher, startBenchDaemon } from './support/bench-daemon.ts'
import { interleave } from './support/interleave.ts'
import { runCommand } from './support/run-command.ts'
import { percentile, ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about: 'cowshed ls while a daemon runs, against static Go binaries that say their version, and Node doing nothing',
  run,
}

const goalMs = 150
/** Of each contestant in each run; the median counts. */
const starts = 5
const peers = ['docker', 'skopeo']

async function run({ runs, say }: BenchOptions): Promise<BenchReport> {
  const directory = await mkdtemp('/tmp/cs-')
  try {
    const data = join(directory, 'd')
    await using daemon = await startBenchDaemon({ data, kernel: 'without kernel' })
    await daemon.call('POST', '/api/sheds', { name: 'web', image, start: false })
    const there = peers.filter(isOnPath)
    const commands = new Map([
      ['cowshed ls', [process.execPath, launcher, '--data', data, 'ls']],
      ["node -e ''", [process.execPath, '-e', '']],
      ...there.map((peer): [string, string[]] => [`${peer} --version`, [peer, '--version']]),
    ])
    const lanes = [...commands].map(([name, command]) => [name, () => median(command)] as const)
    for (const [, lane] of lanes) await lane()
    return report(await interleave({ runs, say, contestants: Object.fromEntries(lanes) }))
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function median([command = '', ...args]: readonly string[]): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < starts; i++) times.push((await runCommand(command, args)).ms)
  return percentile(times, 50)
}

function report(values: Record<string, number[]>): BenchReport {
  const cowshed = values['cowshed ls'] ?? []
  const floor = values["node -e ''"] ?? []
  return {
    rows: [
      ...Object.entries(values).map(
        ([name, of]) => ({ kind: 'measured', name, unit: 'ms', ...summarize(of) }) as const,
      ),
      ...peers
        .filter((peer) => !isOnPath(peer))
        .map((peer) => ({ kind: 'absent', name: `${peer} --version`, why: 'is not installed' }) as const),
      { kind: 'ratio', name: `cowshed ls / ${goalMs} ms`, goal: 1, ...summarize(cowshed.map((ms) => ms / goalMs)) },
      { kind: 'ratio', name: 'cowshed ls / node alone', goal: 3, ...ratios(cowshed, floor) },
    ],
    notes: [`medians of ${starts} in each run, from the start of the process to its end`],
  }
}
