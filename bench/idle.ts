import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mountFresh } from '../test/support/mount-filesystem.ts'
import { type BareVmRecipe, prepareBareVm, ramIn, recipeOf } from './support/bare-vm.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { type BenchDaemon, image, startBenchDaemon } from './support/bench-daemon.ts'
import { interleave } from './support/interleave.ts'
import { missingVmTools } from './support/missing-vm-tools.ts'
import { summarize } from './support/statistics.ts'

export const bench: Bench = {
  about: 'what is written to the disk while a hot shed does nothing, against QEMU alone',
  run,
}

const memoryBytes = 256 * 2 ** 20
const upperBytes = 256 * 2 ** 20
const filesystemBytes = 2 * 2 ** 30
/** What a guest has to do after its boot is over then, in milliseconds. */
const settleMs = 30_000

interface Place {
  readonly daemon: BenchDaemon
  readonly recipe: BareVmRecipe
  readonly directory: string
  /** On a tmpfs. */
  readonly ramDirectory: string
  readonly windowMs: number
}

async function run({ runs, small, say }: BenchOptions): Promise<BenchReport> {
  const missing = missingVmTools()
  if (missing.length > 0) return { rows: missing, notes: [] }
  // Nobody else writes to it.
  await using filesystem = await mountFresh('ext4', filesystemBytes)
  const { directory } = filesystem
  const ramDirectory = await mkdtemp('/dev/shm/cowshed-bench-')
  try {
    await using daemon = await startBenchDaemon({ data: join(directory, 'd'), kernel: 'with kernel' })
    await daemon.call('POST', '/api/sheds', { name: 'web', image, memory_bytes: memoryBytes, upper_bytes: upperBytes })
    const recipe = await recipeOf(daemon, 'web')
    const place: Place = { daemon, recipe, directory, ramDirectory, windowMs: small ? 2_000 : 60_000 }
    const { shed, qemu, daemonAlone } = await interleave({
      runs,
      say,
      contestants: {
        shed: () => ofShed(place),
        qemu: () => ofQemu(place),
        daemonAlone: () => writtenPerMinute(place),
      },
    })
    return {
      rows: [
        { kind: 'measured', name: 'a hot shed', unit: 'KiB', ...summarize(shed) },
        { kind: 'measured', name: 'QEMU alone', unit: 'KiB', ...summarize(qemu) },
        { kind: 'measured', name: 'the daemon, and no shed that runs', unit: 'KiB', ...summarize(daemonAlone) },
      ],
      notes: [
        `KiB a minute that reach the block device below the data directory (ext4), in ${place.windowMs / 1000} s that begin ${settleMs / 1000} s after the boot and end with a sync`,
        `guests have ${memoryBytes / 2 ** 20} MiB, a shell as their program, and RAM on a tmpfs`,
      ],
    }
  } finally {
    await rm(ramDirectory, { recursive: true, force: true })
  }
}

async function ofShed(place: Place): Promise<number> {
  await place.daemon.call('POST', '/api/sheds/web/start')
  await sleep(settleMs)
  const written = await writtenPerMinute(place)
  await place.daemon.call('POST', '/api/sheds/web/stop', {})
  return written
}

async function ofQemu(place: Place): Promise<number> {
  await place.daemon.call('POST', '/api/sheds/web/stop', {})
  const bare = join(place.directory, 'bare')
  const start = await prepareBareVm(place.recipe, bare)
  // It would not make a file behind a link.
  await writeFile(join(place.ramDirectory, 'ram'), '')
  await symlink(join(place.ramDirectory, 'ram'), ramIn(bare))
  await using _vm = await start()
  await sleep(settleMs)
  return await writtenPerMinute(place)
}

async function writtenPerMinute({ directory, windowMs }: Place): Promise<number> {
  const before = await writtenBytes(directory)
  await sleep(windowMs)
  return ((await writtenBytes(directory)) - before) / 1024 / (windowMs / 60_000)
}

/** @see Linux, Documentation/block/stat.rst: the seventh figure is sectors written, of 512 bytes */
async function writtenBytes(directory: string): Promise<number> {
  execFileSync('sync', ['--file-system', directory])
  const device = execFileSync('findmnt', ['--noheadings', '--output', 'SOURCE', directory], { encoding: 'utf8' })
  const figures = (await readFile(`/sys/block/${basename(device.trim())}/stat`, 'utf8')).trim().split(/ +/)
  return Number(figures[6]) * 512
}
