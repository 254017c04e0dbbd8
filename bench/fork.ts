import { mkdtemp, rm } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { inParallel } from '../src/base/index.ts'
import type { ForkShedReply } from '../src/contract/index.ts'
import { usedBytes } from '../test/support/filesystem-usage.ts'
import { type FilesystemType, mountFresh } from '../test/support/mount-filesystem.ts'
import { isOnPath } from '../test/support/needs.ts'
import {
  type BareSource,
  barePlace,
  becomeAnother,
  type RestoredVm,
  type RestoreRecipe,
  restoreBare,
  restoreRecipe,
  startBareSource,
} from './support/bare-restore.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { type BenchDaemon, image, startBenchDaemon } from './support/bench-daemon.ts'
import { interleave } from './support/interleave.ts'
import { missingVmTools } from './support/missing-vm-tools.ts'
import { ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about: 'forks of a running shed until each is ready, against as many QEMUs that go on from another one',
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
      'QEMU alone: one stopped, its state migrated to a file, disk and RAM copied with cp, and gone on; then for each the disk copied with cp --reflink=auto, QEMU started, the state taken, and the agent told who it is and what time',
      'cut before: the same without the cut, and nobody becomes another: the agent has answered',
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
  await using source = recipe === undefined ? undefined : await bareSource(recipe, directory)
  const rows: Row[] = []
  const pauses: number[] = []
  for (const count of counts) {
    const {
      forks = [],
      qemu,
      before,
    } = await interleave<string>({
      runs,
      say: (line) => say(`${count}: ${line}`),
      contestants: {
        forks: async () => {
          const { ms, pauseMs } = await fork(daemon, count)
          pauses.push(pauseMs)
          await removeForks(daemon, count)
          return ms
        },
        ...(recipe === undefined || source === undefined
          ? {}
          : {
              qemu: () => forkBare(source, { count, directory }),
              before: () => restoreMany(async () => recipe, { count, directory }),
            }),
      },
    })
    const named = (name: string) => `${place}: ${count} ${name}`
    rows.push({ kind: 'measured', name: named('forked'), unit: 'ms', ...summarize(forks) })
    if (qemu === undefined || before === undefined) continue
    rows.push(
      { kind: 'measured', name: named('of QEMU alone'), unit: 'ms', ...summarize(qemu) },
      { kind: 'ratio', name: named('forked / QEMU alone'), goal: 1.3, ...ratios(forks, qemu) },
      { kind: 'measured', name: named('of QEMU alone, cut before'), unit: 'ms', ...summarize(before) },
      { kind: 'ratio', name: named('forked / cut before'), goal: 1.3, ...ratios(forks, before) },
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

async function bareSource(recipe: RestoreRecipe, directory: string): Promise<BareSource> {
  const ramDirectory = await mkdtemp('/dev/shm/cowshed-bench-')
  const source = await startBareSource(recipe, { place: join(directory, 'source'), ramDirectory })
  return {
    cut: () => source.cut(),
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]()
      await rm(ramDirectory, { recursive: true, force: true })
    },
  }
}

async function forkBare(source: BareSource, many: Many): Promise<number> {
  return await restoreMany(
    () => source.cut(),
    many,
    (vm, number) => becomeAnother(vm.agent, `b-${number}`),
  )
}

/** @returns milliseconds until what they go on from is there, and all of them have answered, and done what more is asked of them */
async function restoreMany(
  cut: () => Promise<RestoreRecipe>,
  { count, directory }: Many,
  andThen?: (vm: RestoredVm, number: number) => Promise<void>,
): Promise<number> {
  const machines: RestoredVm[] = []
  try {
    const start = performance.now()
    const recipe = await cut()
    await inParallel(Array.from({ length: count }).keys(), cpus().length, async (number) => {
      const vm = await restoreBare(recipe, barePlace(directory, number))
      machines.push(vm)
      await andThen?.(vm, number)
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
