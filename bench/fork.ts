import { cpus } from 'node:os'
import { join } from 'node:path'
import { inParallel } from '../src/base/index.ts'
import type { ForkShedReply } from '../src/contract/index.ts'
import { usedBytes } from '../test/support/filesystem-usage.ts'
import { type FilesystemType, mountFresh } from '../test/support/mount-filesystem.ts'
import { isOnPath } from '../test/support/needs.ts'
import { barePlace, type RestoredVm, type RestoreRecipe, restoreBare, restoreRecipe } from './support/bare-restore.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { type BenchDaemon, image, startBenchDaemon } from './support/bench-daemon.ts'
import { interleave } from './support/interleave.ts'
import { missingVmTools } from './support/missing-vm-tools.ts'
import { ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about: 'forks of a running shed until each is ready, against as many QEMUs that go on from the same memory',
  run,
}

const memoryBytes = 128 * 2 ** 20
/** Of a filesystem for forks; sparse: what is not written to it costs nothing. */
const filesystemBytes = 4 * 2 ** 30

type Row = BenchReport['rows'][number]

async function run({ runs, small, say }: BenchOptions): Promise<BenchReport> {
  const missing = missingVmTools()
  if (missing.length > 0) return { rows: missing, notes: [] }
  const counts = small ? [1, 2] : [1, 10, 30]
  const rows: Row[] = []
  for (const place of ['btrfs', 'ext4'] as const) {
    say(`on ${place}`)
    if (isOnPath(`mkfs.${place}`)) rows.push(...(await runAt(place, { runs, counts, say })))
    else rows.push({ kind: 'absent', name: place, why: `mkfs.${place} is not installed` })
  }
  return {
    rows,
    notes: [
      'forks: POST /api/sheds/web/fork until answered, the cut of the shed included; each fork has its own name, machine-id, random numbers and time then',
      'QEMU alone: the disk copied with cp --reflink=auto, QEMU started, the state taken, the agent answering; the memory was on the disk before',
      `as many at a time as there are processors (${cpus().length}); guests have ${memoryBytes / 2 ** 20} MiB`,
      'on disk: how much fuller the filesystem is when they run, their shared RAM included, by their number',
    ],
  }
}

interface RunAt extends Pick<BenchOptions, 'runs' | 'say'> {
  readonly counts: readonly number[]
}

async function runAt(place: FilesystemType, { runs, counts, say }: RunAt): Promise<Row[]> {
  await using filesystem = await mountFresh(place, filesystemBytes)
  const { directory } = filesystem
  await using daemon = await startBenchDaemon({ data: join(directory, 'd'), kernel: 'with kernel' })
  await daemon.call('POST', '/api/sheds', { name: 'web', image, memory_bytes: memoryBytes })
  await daemon.call('POST', '/api/snapshots', { shed: 'web', name: 'kept', memory: true })
  await daemon.call('POST', '/api/sheds', { name: 'model', from_snapshot: 'kept' })
  // Elsewhere the lower is in parts, and they cannot be told apart from outside.
  const recipe = place === 'btrfs' ? await restoreRecipe(daemon, 'model', 'kept') : undefined
  const rows: Row[] = []
  const pauses: number[] = []
  for (const count of counts) {
    const { forks = [], qemu } = await interleave<string>({
      runs,
      say: (line) => say(`${count}: ${line}`),
      contestants: {
        forks: async () => {
          const { ms, pauseMs } = await fork(daemon, count)
          pauses.push(pauseMs)
          await removeForks(daemon, count)
          return ms
        },
        ...(recipe === undefined ? {} : { qemu: () => restoreMany(recipe, { count, directory }) }),
      },
    })
    const named = (name: string) => `${place}: ${count} ${name}`
    rows.push({ kind: 'measured', name: named('forked'), unit: 'ms', ...summarize(forks) })
    if (qemu === undefined) continue
    rows.push(
      { kind: 'measured', name: named('of QEMU alone'), unit: 'ms', ...summarize(qemu) },
      { kind: 'ratio', name: named('forked / QEMU alone'), goal: 1.3, ...ratios(forks, qemu) },
    )
  }
  const most = counts.at(-1) ?? 1
  const each = await bytesOfEach(daemon, { count: most, directory })
  return [
    ...rows,
    { kind: 'measured', name: `${place}: the shed stands still`, unit: 'ms', ...summarize(pauses) },
    { kind: 'measured', name: `${place}: on disk, each of ${most}`, unit: 'KiB', ...summarize([each / 1024]) },
  ]
}

async function fork(daemon: BenchDaemon, count: number): Promise<{ readonly ms: number; readonly pauseMs: number }> {
  const start = performance.now()
  const { pause_ms: pauseMs } = await daemon.call<ForkShedReply>('POST', '/api/sheds/web/fork', { name: 'f', count })
  return { ms: performance.now() - start, pauseMs: pauseMs ?? Number.NaN }
}

async function removeForks(daemon: BenchDaemon, count: number): Promise<void> {
  for (let fork = 1; fork <= count; fork++) await daemon.call('DELETE', `/api/sheds/f-${fork}?force=true`)
}

interface Many {
  readonly count: number
  readonly directory: string
}

/** @returns milliseconds until all of them have answered */
async function restoreMany(recipe: RestoreRecipe, { count, directory }: Many): Promise<number> {
  const machines: RestoredVm[] = []
  try {
    const start = performance.now()
    await inParallel(Array.from({ length: count }).keys(), cpus().length, async (number) => {
      machines.push(await restoreBare(recipe, barePlace(directory, number)))
    })
    return performance.now() - start
  } finally {
    await Promise.all(machines.map((machine) => machine[Symbol.asyncDispose]()))
  }
}

async function bytesOfEach(daemon: BenchDaemon, { count, directory }: Many): Promise<number> {
  const before = await usedBytes(directory)
  await fork(daemon, count)
  const after = await usedBytes(directory)
  await removeForks(daemon, count)
  return (after - before) / count
}
