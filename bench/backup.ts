import { randomBytes } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isOnPath } from '../test/support/needs.ts'
import { baseRootfs } from './support/base-rootfs.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { type BenchDaemon, startBenchDaemon } from './support/bench-daemon.ts'
import { interleave } from './support/interleave.ts'
import { runCommand } from './support/run-command.ts'
import { ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about:
    'a volume of 1 GiB with a Debian in it is backed up to a directory: first, again, and after a day; against restic, and tar | zstd',
  run,
}

type Row = BenchReport['rows'][number]

const MiB = 2 ** 20
const tools = ['busybox', 'mke2fs', 'restic', 'zstd', 'tar', 'cp', 'du']

async function run(options: BenchOptions): Promise<BenchReport> {
  const missing = tools.filter((tool) => !isOnPath(tool))
  if (missing.length > 0)
    return { rows: missing.map((name) => ({ kind: 'absent', name, why: 'is not installed' })), notes: [] }
  const base = await baseRootfs(options.small ? 'minbase' : 'large')
  const directory = await mkdtemp(join(tmpdir(), 'cs-bench-'))
  try {
    await using daemon = await startBenchDaemon({ data: join(directory, 'd'), kernel: 'without kernel' })
    await daemon.call('POST', '/api/volumes', { name: 'disk', bytes: 64 * MiB })
    return { rows: await measure({ daemon, base, directory }, options), notes }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const notes = [
  'restic, too, compresses (zstd), encrypts, and finds out what is there already; tar | zstd does neither of the last two, and has no second time: it is given in full each day',
  'again: nobody has written to the volume. After a day: 24 MiB in one place and 64 times 64 KiB scattered over the disk have changed, none of it compressible',
  'the volume is in the page cache for all; cowshed copies it before it reads it, where its filesystem shares no extents; sent: what each repository grew by',
]

interface Place {
  readonly daemon: BenchDaemon
  /** What is in the volume on the first day. */
  readonly base: string
  readonly directory: string
}

async function measure({ daemon, base, directory }: Place, { runs, say }: BenchOptions): Promise<Row[]> {
  const disk = daemon.layout.volume('disk').data
  const [ours, theirs] = [join(directory, 'cowshed'), join(directory, 'restic')]
  const sent: Sent = { first: [], resticFirst: [], day: [], resticDay: [] }
  const backUp = () => timed(() => daemon.call('POST', '/api/volumes/disk/backup', { to: ours }))
  const restic = async (...words: string[]) =>
    (await runCommand('restic', ['-q', '--password-command', 'echo secret', '-r', theirs, ...words])).ms
  const growing = async (path: string, sizes: number[], work: () => Promise<number>): Promise<number> => {
    const before = await bytesIn(path)
    const ms = await work()
    sizes.push((await bytesIn(path)) - before)
    return ms
  }
  const values = await interleave({
    runs,
    say,
    contestants: {
      async first() {
        for (const path of [ours, theirs]) await rm(path, { recursive: true, force: true })
        await runCommand('cp', ['--sparse=always', base, disk])
        await restic('init')
        // A file that was written to just now is not told from one that is about to be.
        await sleep(2500)
        return await growing(ours, sent.first, backUp)
      },
      resticFirst: () => growing(theirs, sent.resticFirst, () => restic('backup', disk)),
      async tar() {
        const script = `tar --sparse -cf - '${disk}' | zstd -q -f -3 -T0 -o '${join(directory, 'tar')}'`
        return (await runCommand('sh', ['-c', script])).ms
      },
      again: backUp,
      resticAgain: () => restic('backup', disk),
      async day() {
        await live(disk)
        return await growing(ours, sent.day, backUp)
      },
      resticDay: () => growing(theirs, sent.resticDay, () => restic('backup', disk)),
    },
  })
  return rowsOf(values, sent)
}

type Contestant = 'first' | 'resticFirst' | 'tar' | 'again' | 'resticAgain' | 'day' | 'resticDay'
type Sent = Record<'first' | 'resticFirst' | 'day' | 'resticDay', number[]>

function rowsOf(values: Record<Contestant, number[]>, sent: Sent): Row[] {
  const time = (name: string, ms: readonly number[]): Row => ({ kind: 'measured', name, unit: 'ms', ...summarize(ms) })
  const size = (name: string, bytes: readonly number[]): Row => {
    return { kind: 'measured', name, unit: 'MB', ...summarize(bytes.map((each) => each / 1e6)) }
  }
  const ratio = (name: string, ours: readonly number[], theirs: readonly number[]): Row => {
    return { kind: 'ratio', name, goal: 1, ...ratios(ours, theirs) }
  }
  return [
    time('first', values.first),
    time('first, restic', values.resticFirst),
    time('each, tar | zstd', values.tar),
    time('again', values.again),
    time('again, restic', values.resticAgain),
    time('after a day', values.day),
    time('after a day, restic', values.resticDay),
    size('sent, first', sent.first),
    size('sent, first, restic', sent.resticFirst),
    size('sent, after a day', sent.day),
    size('sent, after a day, restic', sent.resticDay),
    ratio('first / restic', values.first, values.resticFirst),
    ratio('first / tar | zstd', values.first, values.tar),
    ratio('again / restic', values.again, values.resticAgain),
    ratio('after a day / restic', values.day, values.resticDay),
    ratio('after a day / tar | zstd', values.day, values.tar),
    ratio('sent, first / restic', sent.first, sent.resticFirst),
    ratio('sent, after a day / restic', sent.day, sent.resticDay),
  ]
}

/** A day in the life of a disk. */
async function live(disk: string): Promise<void> {
  await using file = await open(disk, 'r+')
  const { size } = await file.stat()
  await file.write(randomBytes(24 * MiB), 0, 24 * MiB, 100 * MiB)
  for (let i = 0; i < 64; i++) await file.write(randomBytes(MiB / 16), 0, MiB / 16, Math.floor(size / 65) * (i + 1))
  await file.sync()
}

async function bytesIn(path: string): Promise<number> {
  return await runCommand('du', ['-sb', path]).then(
    ({ stdout }) => Number(stdout.split('\t')[0]),
    () => 0,
  )
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
