import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { PruneReport, UsageReport } from '../src/contract/index.ts'
import { mountFresh } from '../test/support/mount-filesystem.ts'
import { isOnPath } from '../test/support/needs.ts'
import { noise } from '../test/support/noise.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { type BenchDaemon, image, startBenchDaemon } from './support/bench-daemon.ts'
import { interleave } from './support/interleave.ts'
import { runCommand } from './support/run-command.ts'
import { ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about: 'df of 1,000 sheds and the plan of a prune of all of them, against btrfs filesystem du, compsize and du',
  run,
}

type Row = BenchReport['rows'][number]

const counts = { sheds: 1000, small: 50 }
const goalMs = 50
const filesystemBytes = 6 * 2 ** 30

async function run(options: BenchOptions): Promise<BenchReport> {
  const missing = ['busybox', 'mke2fs', 'compsize'].filter((tool) => !isOnPath(tool))
  const rows: Row[] = missing.map((name) => ({ kind: 'absent', name, why: 'is not installed' }))
  for (const type of ['btrfs', 'xfs'] as const) {
    options.say(`on ${type}`)
    if (isOnPath(`mkfs.${type}`)) rows.push(...(await runOn(type, options)))
    else rows.push({ kind: 'absent', name: type, why: `mkfs.${type} is not installed` })
  }
  return {
    rows,
    notes: [
      'by the clock of a client with an open connection; each shed has 64 KiB of its own in its upper',
      'first: of a daemon that knows nothing yet; second: nothing has changed since; the plan looks at everything anew',
      'prediction: |reclaimed - predicted| of a prune of all of them, by what was predicted; what the daemon wrote of it meanwhile is added',
    ],
  }
}

async function runOn(type: 'btrfs' | 'xfs', { runs, small, say }: BenchOptions): Promise<Row[]> {
  await using filesystem = await mountFresh(type, filesystemBytes)
  const data = join(filesystem.directory, 'd')
  await mkdir(data)
  await using daemon = await startBenchDaemon({ data, kernel: 'without kernel' })
  await makeSheds(daemon, small ? counts.small : counts.sheds)
  const first = await timed(() => daemon.call<UsageReport>('GET', '/api/system/df'))
  await daemon.call('GET', '/api/system/df')
  const values: Record<string, number[]> = await interleave({
    runs,
    say,
    contestants: {
      second: () => timed(() => daemon.call('GET', '/api/system/df')),
      plan: () => timed(() => daemon.call('POST', '/api/system/prune?dry_run=true&until=0s')),
      du: async () => (await runCommand('du', ['-s', data])).ms,
      ...peers[type](data),
    },
  })
  const named = (name: string) => `${type}: ${name}`
  const measured = (name: string, ms: readonly number[]): Row => ({
    kind: 'measured',
    name: named(name),
    unit: 'ms',
    ...summarize(ms),
  })
  const { second = [], plan = [], du = [], btrfsDu, compsize } = values
  return [
    measured('df, first', [first]),
    measured('df, second', second),
    measured('plan of a prune', plan),
    measured('du -s', du),
    {
      kind: 'ratio',
      name: named(`df, second / ${goalMs} ms`),
      goal: 1,
      ...summarize(second.map((ms) => ms / goalMs)),
    },
    ...(btrfsDu === undefined
      ? []
      : [
          measured('btrfs filesystem du -s', btrfsDu),
          {
            kind: 'ratio' as const,
            name: named('df, first / btrfs filesystem du -s'),
            goal: 1,
            ...ratios(
              btrfsDu.map(() => first),
              btrfsDu,
            ),
          },
        ]),
    ...(compsize === undefined ? [] : [measured('compsize', compsize)]),
    await prediction(daemon, named('prediction')),
  ]
}

const peers: Record<'btrfs' | 'xfs', (data: string) => Record<string, () => Promise<number>>> = {
  btrfs: (data) => ({
    btrfsDu: async () => (await runCommand('btrfs', ['filesystem', 'du', '-s', data])).ms,
    compsize: async () => (await runCommand('compsize', ['-x', data])).ms,
  }),
  xfs: () => ({}),
}

async function makeSheds(daemon: BenchDaemon, count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    const name = `shed-${at}`
    await daemon.call('POST', '/api/sheds', { name, image, start: false })
    await using upper = await open(daemon.layout.shed(name).upper, 'r+')
    await upper.write(noise(65_536, at), 0, 65_536, 16 << 20)
  }
}

/** What is reclaimed of all of them, with what the daemon wrote about it meanwhile. */
async function prediction(daemon: BenchDaemon, name: string): Promise<Row> {
  const before = await daemonBytes(daemon)
  const path = '/api/system/prune?dry_run=false&until=0s&scope=instances'
  const { totals } = await daemon.call<PruneReport>('POST', path)
  const reclaimed = (totals.reclaimed_bytes ?? 0) + (await daemonBytes(daemon)) - before
  const off = Math.abs(reclaimed - totals.predicted_bytes) / totals.predicted_bytes
  return { kind: 'ratio', name, goal: 0.01, ...summarize([off]) }
}

async function daemonBytes(daemon: BenchDaemon): Promise<number> {
  const { caches } = await daemon.call<UsageReport>('GET', '/api/system/df')
  const own = caches.filter(({ kind }) => kind === 'daemon')
  return own.reduce((sum, { exclusive_bytes: bytes }) => sum + bytes, 0)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
