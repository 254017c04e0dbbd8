import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execStraight, prepareBareVm, recipeOf } from './support/bare-vm.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { image, startBenchDaemon } from './support/bench-daemon.ts'
import { interleave } from './support/interleave.ts'
import { missingVmTools } from './support/missing-vm-tools.ts'
import { percentile, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about: 'true in a running shed through the daemon, against the agent called straight over its socket',
  run,
}

const goalMs = 3
/** Of each contestant in each run; the median counts. */
const execs = 50
const pauseMs = 10

async function run({ runs, say }: BenchOptions): Promise<BenchReport> {
  const missing = missingVmTools()
  if (missing.length > 0) return { rows: missing, notes: [] }
  const directory = await mkdtemp('/tmp/cs-')
  try {
    await using daemon = await startBenchDaemon({ data: join(directory, 'd'), kernel: 'with kernel' })
    await daemon.call('POST', '/api/sheds', { name: 'web', image })
    // An agent serves one host at a time, so the other contestant gets a VM of its own, which is just the same.
    const boot = await prepareBareVm(await recipeOf(daemon, 'web'), join(directory, 'bare'))
    await using vm = await boot()
    const contestants = {
      daemon: () => timed(() => daemon.exec('web', ['/bin/true'])),
      agent: () => timed(() => execStraight(vm.agent, ['/bin/true'])),
    }
    // Warm: the guest's page cache, and the compilers of this process and the daemon.
    await contestants.daemon()
    await contestants.agent()
    return report(await interleave({ runs, say, contestants }))
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function timed(exec: () => Promise<number>): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < execs; i++) {
    // What the last one has left to be done must not be done on this one's time.
    await sleep(pauseMs)
    const start = performance.now()
    const code = await exec()
    times.push(performance.now() - start)
    if (code !== 0) throw new Error(`true ended with ${code}`)
  }
  return percentile(times, 50)
}

function report({ daemon, agent }: Record<'daemon' | 'agent', number[]>): BenchReport {
  const overhead = daemon.map((ms, run) => ms - (agent[run] ?? Number.NaN))
  return {
    rows: [
      { kind: 'measured', name: 'through the daemon', unit: 'ms', ...summarize(daemon) },
      { kind: 'measured', name: 'the agent alone', unit: 'ms', ...summarize(agent) },
      { kind: 'measured', name: 'overhead', unit: 'ms', ...summarize(overhead) },
      { kind: 'ratio', name: `overhead / ${goalMs} ms`, goal: 1, ...summarize(overhead.map((ms) => ms / goalMs)) },
    ],
    notes: [
      `medians of ${execs} in each run; through the daemon each has a WebSocket of its own, as every client's has`,
    ],
  }
}
