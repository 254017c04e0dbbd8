import { readFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { inParallel } from '../src/base/index.ts'
import type { ForkShedReply, Shed } from '../src/contract/index.ts'
import { usedBytes } from '../test/support/filesystem-usage.ts'
import { type FilesystemType, mountFresh } from '../test/support/mount-filesystem.ts'
import { isOnPath } from '../test/support/needs.ts'
import {
  type BareSource,
  barePlace,
  becomeAnother,
  openBareSource,
  type RestoredVm,
  type RestoreRecipe,
  restoreBare,
  restoreRecipe,
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
      'RAM: what is in memory of the guest when they have become ready (Rss), and of that what no other process has (Private)',
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
  await using source = recipe === undefined ? undefined : await openBareSource(recipe, directory)
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
  const each = await costOfEach(daemon, { count: most, directory })
  const { diskBytes, ramBytes, ownRamBytes } = each
  return [
    ...rows,
    { kind: 'measured', name: `${place}: the shed stands still`, unit: 'ms', ...summarize(pauses) },
    { kind: 'measured', name: `${place}: on disk, each of ${most}`, unit: 'KiB', ...summarize([diskBytes / 1024]) },
    { kind: 'measured', name: `${place}: RAM, each of ${most}`, unit: 'MB', ...summarize([ramBytes / 1e6]) },
    { kind: 'measured', name: `${place}: of that its own`, unit: 'MB', ...summarize([ownRamBytes / 1e6]) },
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

async function forkBare(source: BareSource, many: Many): Promise<number> {
  return await restoreMany(
    async () => (await source.cut()).recipe,
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

interface Cost {
  readonly diskBytes: number
  /** Of the guest that is in memory, and what of it no other has. */
  readonly ramBytes: number
  readonly ownRamBytes: number
}

/** What each of many takes that have become ready and do nothing else. */
async function costOfEach(daemon: BenchDaemon, { count, directory }: Many): Promise<Cost> {
  const before = await usedBytes(directory)
  await fork(daemon, count)
  const diskBytes = ((await usedBytes(directory)) - before) / count
  const ram = await Promise.all(Array.from({ length: count }, (_, at) => ramOf(daemon, `f-${at + 1}`)))
  await removeForks(daemon, count)
  const mean = (key: keyof (typeof ram)[number]) => ram.reduce((sum, each) => sum + each[key], 0) / count
  return { diskBytes, ramBytes: mean('all'), ownRamBytes: mean('own') }
}

/** In bytes. @see proc_pid_smaps(5) */
async function ramOf(daemon: BenchDaemon, shed: string): Promise<{ readonly all: number; readonly own: number }> {
  const { pid } = await daemon.call<Shed>('GET', `/api/sheds/${shed}`)
  const smaps = await readFile(`/proc/${pid}/smaps`, 'latin1')
  const [, ram = ''] = smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ .*mem\.snap)/m)
  const bytes = (field: string) => 1024 * Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(ram)?.[1])
  return { all: bytes('Rss'), own: bytes('Private_Clean') + bytes('Private_Dirty') }
}
