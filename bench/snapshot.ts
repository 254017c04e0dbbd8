import { join } from 'node:path'
import type { Snapshot } from '../src/contract/index.ts'
import { ramDirectoryPath } from '../src/daemon/run-directory.ts'
import { type FilesystemType, mountFresh } from '../test/support/mount-filesystem.ts'
import { isOnPath } from '../test/support/needs.ts'
import { openBareSource, type RestoreRecipe, restoreRecipe } from './support/bare-restore.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { type BenchDaemon, image, startBenchDaemon } from './support/bench-daemon.ts'
import { interleave } from './support/interleave.ts'
import { missingVmTools } from './support/missing-vm-tools.ts'
import { runCommand } from './support/run-command.ts'
import { ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about: 'for how long a shed waits while a snapshot of it is taken, against QEMU alone and cp of the same files',
  run,
}

const memoryBytes = 256 * 2 ** 20
const filesystemBytes = 4 * 2 ** 30
const places: readonly FilesystemType[] = ['btrfs', 'xfs', 'ext4']

type Row = BenchReport['rows'][number]

async function run({ runs, say }: BenchOptions): Promise<BenchReport> {
  const missing = missingVmTools()
  if (missing.length > 0) return { rows: missing, notes: [] }
  const rows: Row[] = []
  for (const place of places) {
    say(`on ${place}`)
    if (isOnPath(`mkfs.${place}`)) rows.push(...(await runAt(place, { runs, say })))
    else rows.push({ kind: 'absent', name: place, why: `mkfs.${place} is not installed` })
  }
  return {
    rows,
    notes: [
      'disks: the filesystem is frozen; with memory: the vCPUs stand still; both as the snapshot says',
      'cp: --reflink=auto --sparse=always of the disk, and of RAM from its tmpfs for the one with memory; nothing is frozen, and no state of devices is saved',
      'QEMU alone: a machine that goes on from the same memory; stopped, its state migrated to a file, disk and RAM copied with cp, and gone on; on ext4, where the lower is in parts, there is none',
      `the guest has ${memoryBytes / 2 ** 20} MiB and has just written 32 MiB to its disk`,
    ],
  }
}

async function runAt(place: FilesystemType, { runs, say }: Pick<BenchOptions, 'runs' | 'say'>): Promise<Row[]> {
  await using filesystem = await mountFresh(place, filesystemBytes)
  const { directory } = filesystem
  await using daemon = await startBenchDaemon({ data: join(directory, 'd'), kernel: 'with kernel' })
  await daemon.call('POST', '/api/sheds', { name: 'web', image, memory_bytes: memoryBytes })
  await daemon.exec('web', ['/bin/dd', 'if=/dev/urandom', 'of=/root/data', 'bs=1M', 'count=32', 'conv=fsync'])
  const disk = daemon.layout.shed('web').upper
  const ram = join(ramDirectoryPath(daemon.layout), 'web.ram')
  // In parts a lower cannot be told apart from outside.
  await using bare = place === 'ext4' ? undefined : await openBareSource(await recipeOf(daemon), directory)
  const values = await interleave<string>({
    runs,
    say,
    contestants: {
      disks: () => pauseOf(daemon, {}),
      copiedDisk: () => copy([disk], directory),
      memory: () => pauseOf(daemon, { memory: true }),
      copiedBoth: () => copy([disk, ram], directory),
      ...(bare === undefined ? {} : { alone: async () => (await bare.cut()).pauseMs }),
    },
  })
  const { disks = [], copiedDisk = [], memory = [], copiedBoth = [], alone } = values
  return [
    { kind: 'measured', name: `${place}: disks`, unit: 'ms', ...summarize(disks) },
    { kind: 'measured', name: `${place}: cp of the disk`, unit: 'ms', ...summarize(copiedDisk) },
    { kind: 'ratio', name: `${place}: disks / cp`, goal: 1.5, ...ratios(disks, copiedDisk) },
    { kind: 'measured', name: `${place}: with memory`, unit: 'ms', ...summarize(memory) },
    ...(alone === undefined ? [] : besideQemu(place, { memory, alone })),
    { kind: 'measured', name: `${place}: cp of disk and RAM`, unit: 'ms', ...summarize(copiedBoth) },
    { kind: 'ratio', name: `${place}: with memory / cp`, goal: 1.5, ...ratios(memory, copiedBoth) },
  ]
}

interface Paused {
  readonly memory: readonly number[]
  readonly alone: readonly number[]
}

function besideQemu(place: FilesystemType, { memory, alone }: Paused): Row[] {
  return [
    { kind: 'measured', name: `${place}: QEMU alone`, unit: 'ms', ...summarize(alone) },
    { kind: 'ratio', name: `${place}: with memory / QEMU alone`, goal: 1.3, ...ratios(memory, alone) },
  ]
}

/** Of a machine that goes on where the shed is. */
async function recipeOf(daemon: BenchDaemon): Promise<RestoreRecipe> {
  await daemon.call('POST', '/api/snapshots', { shed: 'web', name: 'model', memory: true })
  await daemon.call('POST', '/api/sheds', { name: 'model', from_snapshot: 'model' })
  const recipe = await restoreRecipe(daemon, 'model', 'model')
  await daemon.call('DELETE', '/api/sheds/model?force=true')
  return recipe
}

async function pauseOf(daemon: BenchDaemon, more: { readonly memory?: true }): Promise<number> {
  const { pause_ms: pauseMs } = await daemon.call<Snapshot>('POST', '/api/snapshots', {
    shed: 'web',
    name: 'kept',
    ...more,
  })
  await daemon.call('DELETE', '/api/snapshots/kept')
  return pauseMs ?? Number.NaN
}

/** @returns milliseconds, the programs' own start included */
async function copy(files: readonly string[], directory: string): Promise<number> {
  const to = join(directory, 'copy')
  let total = 0
  for (const file of files) {
    const { ms } = await runCommand('cp', ['--reflink=auto', '--sparse=always', file, to])
    total += ms
    await runCommand('rm', [to])
  }
  return total
}
