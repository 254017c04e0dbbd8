import { lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dedupeFiles } from '../src/usage/dedupe/dedupe-files.ts'
import type { DedupeJob } from '../src/usage/dedupe/dedupe-job.ts'
import { mountFresh } from '../test/support/mount-filesystem.ts'
import { isOnPath } from '../test/support/needs.ts'
import { noise } from '../test/support/noise.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { interleave } from './support/interleave.ts'
import { runCommand } from './support/run-command.ts'
import { ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about:
    'what three disks with the same content at other places have in common: against sha256sum of the same bytes, and duperemove',
  run,
}

type Row = BenchReport['rows'][number]

const MiB = 2 ** 20
const block = 4096

async function run(options: BenchOptions): Promise<BenchReport> {
  const rows: Row[] = []
  for (const type of ['btrfs', 'xfs'] as const) {
    if (isOnPath(`mkfs.${type}`)) rows.push(...(await runOn(type, options)))
    else rows.push({ kind: 'absent', name: type, why: `mkfs.${type} is not installed` })
  }
  return {
    rows,
    notes: [
      'first: nothing is known of the files; second: nothing has changed. Neither shares anything; duperemove without -d does not either, and looks at windows of 128 KiB',
      'the files are in the page cache: what a disk takes to be read is the same for all',
    ],
  }
}

async function runOn(type: 'btrfs' | 'xfs', { runs, small, say }: BenchOptions): Promise<Row[]> {
  await using filesystem = await mountFresh(type, 1500 * MiB)
  const root = filesystem.directory
  makeFiles(root, small ? 10 : 200)
  const look = async () => void (await dedupeFiles(jobOn(root), () => {}))
  const hasPeer = isOnPath('duperemove')
  const values = await interleave({
    runs,
    say,
    contestants: {
      first: () => {
        rmSync(join(root, 'hashes'), { recursive: true, force: true })
        return timed(look)
      },
      second: () => timed(look),
      sha256sum: async () =>
        (
          await runCommand(
            'sha256sum',
            jobOn(root).files.map(({ path }) => path),
          )
        ).ms,
      duperemove: async () => (hasPeer ? (await runCommand('duperemove', ['-r', join(root, 'files')])).ms : 0),
    },
  })
  const named = (name: string) => `${type}: ${name}`
  const measured = (name: string, ms: readonly number[]): Row => ({
    kind: 'measured',
    name: named(name),
    unit: 'ms',
    ...summarize(ms),
  })
  const ratio = (name: string, goal: number, peer: readonly number[]): Row => ({
    kind: 'ratio',
    name: named(name),
    goal,
    ...ratios(values.first, peer),
  })
  return [
    measured('dry run, first', values.first),
    measured('dry run, second', values.second),
    measured('sha256sum', values.sha256sum),
    ratio('dry run, first / sha256sum', 1, values.sha256sum),
    ...(hasPeer
      ? [measured('duperemove', values.duperemove), ratio('dry run, first / duperemove', 1, values.duperemove)]
      : [{ kind: 'absent' as const, name: named('duperemove'), why: 'is not installed' }]),
  ]
}

/** Three files of so many MiB each, the same pieces in another order behind a block of each one's own. */
function makeFiles(root: string, megabytes: number): void {
  for (const part of ['files', 'staging']) mkdirSync(join(root, part))
  const pieces = Array.from({ length: megabytes }, (_, at) => noise(MiB, at))
  for (const at of [0, 1, 2]) {
    const order = pieces.map((_, place) => pieces[(place * 7 + at * 3) % pieces.length] ?? Buffer.alloc(0))
    writeFileSync(join(root, 'files', `${at}`), Buffer.concat([noise(block * (at + 1), `own ${at}`), ...order]))
  }
}

function jobOn(root: string): DedupeJob {
  const files = readdirSync(join(root, 'files')).map((name) => {
    const path = join(root, 'files', name)
    const { ino, size, blocks, ctimeMs } = lstatSync(path)
    return {
      path,
      inode: ino,
      logicalBytes: size,
      allocatedBytes: blocks * 512,
      changedAt: ctimeMs,
      role: 'changed' as const,
    }
  })
  return { root, files, hashes: join(root, 'hashes'), staging: join(root, 'staging'), dryRun: true }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
