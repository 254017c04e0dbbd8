import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { keystream } from '../src/wires/registry/registry.testkit.ts'
import { isOnPath } from '../test/support/needs.ts'
import { firstLine, killScript } from '../test/support/node-script.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { bundle } from './support/bundle.ts'
import { interleave } from './support/interleave.ts'
import { startNbdkit } from './support/nbdkit.ts'
import { runCommand } from './support/run-command.ts'
import { ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about:
    'a lower that is all in its cache is read as a block device, beside nbdkit with its file plugin over the same file; and while it is verified, how long others wait',
  run,
}

/** What fio does: so many bytes of reads. */
const works = [
  { name: '4 KiB at random, one at a time', args: ['--rw=randread', '--bs=4k', '--iodepth=1'], bytes: 64 << 20 },
  { name: '4 KiB at random, 32 at a time', args: ['--rw=randread', '--bs=4k', '--iodepth=32'], bytes: 256 << 20 },
  { name: '1 MiB in a row, 4 at a time', args: ['--rw=read', '--bs=1m', '--iodepth=4'], bytes: 1024 << 20 },
] as const
/** What the reads of 1 MiB should do, whoever is beside them. */
const goalBytesPerMs = 1_500_000
/** How long the event loop should let others wait while leaves are verified: in 99 of 100 cases, in milliseconds. */
const goalLagMs = 10
/** Reads that verify all of it, each leaf once. */
const verifying = ['--rw=read', '--bs=64k', '--iodepth=32']

async function run({ runs, small, say }: BenchOptions): Promise<BenchReport> {
  const missing = ['fio', 'nbdkit'].filter((tool) => !isOnPath(tool))
  if (missing.length > 0)
    return { rows: missing.map((name) => ({ kind: 'absent', name, why: 'is not installed' })), notes: [] }
  const scratch = await mkdtemp('/tmp/cs-')
  const children: ChildProcess[] = []
  try {
    const file = join(scratch, 'lower')
    await writeFile(file, keystream(small ? 16 << 20 : 256 << 20))
    const [ours, theirs] = [join(scratch, 'ours'), join(scratch, 'theirs')]
    const server = join(await bundle('nbd', ['bench/support/serve-lower.ts']), 'serve-lower.js')
    const own = spawn(process.execPath, [server, file, ours], { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(own)
    await firstLine(own)
    await using _ = await startNbdkit(theirs, ['file', file])
    const rows: BenchReport['rows'][number][] = []
    for (const work of works) {
      const bytes = small ? work.bytes / 16 : work.bytes
      const read = (socket: string) => async () => await fio(socket, work.args, bytes)
      const contestants = { nbdkit: read(theirs), cowshed: read(ours) }
      // Each leaf is verified at its first read.
      for (const once of Object.values(contestants)) await once()
      say(work.name)
      const values = await interleave({ runs, say, contestants })
      rows.push(
        { kind: 'measured', name: `nbdkit file: ${work.name}`, unit: 'ms', ...summarize(values.nbdkit) },
        { kind: 'measured', name: `cowshed: ${work.name}`, unit: 'ms', ...summarize(values.cowshed) },
        { kind: 'ratio', name: `cowshed / nbdkit: ${work.name}`, goal: 1, ...ratios(values.cowshed, values.nbdkit) },
      )
      if (work === works[2]) {
        const times = values.cowshed.map((ms) => ms / (bytes / goalBytesPerMs))
        rows.push({ kind: 'ratio', name: 'cowshed / 1.5 GB/s: 1 MiB in a row', goal: 1, ...summarize(times) })
      }
    }
    say('waiting while it is verified')
    const waits: number[] = []
    for (let at = 0; at < runs; at++) waits.push(await lagWhileVerifying(server, file, join(scratch, 'watched')))
    const waiting = 'others wait while it is verified, 99th percentile'
    rows.push(
      { kind: 'measured', name: waiting, unit: 'ms', ...summarize(waits) },
      { kind: 'ratio', name: `${waiting} / ${goalLagMs} ms`, goal: 1, ...summarize(waits.map((ms) => ms / goalLagMs)) },
    )
    return { rows, notes: works.map(({ name, bytes }) => `${name}: ${bytes >> 20} MiB of a file of 256 MiB`) }
  } finally {
    for (const child of children) await killScript(child)
    await rm(scratch, { recursive: true, force: true })
  }
}

/** A server that has looked at nothing yet reads all of it. @returns milliseconds */
async function lagWhileVerifying(server: string, file: string, socket: string): Promise<number> {
  const child = spawn(process.execPath, [server, file, socket, 'watched'], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    await firstLine(child)
    await fio(socket, verifying, (await stat(file)).size)
    child.kill('SIGTERM')
    return Number(await firstLine(child))
  } finally {
    await killScript(child)
  }
}

/** @returns milliseconds that the reads took, without fio's start */
async function fio(socket: string, args: readonly string[], bytes: number): Promise<number> {
  const job = ['--name=job', '--ioengine=nbd', `--uri=nbd+unix:///?socket=${socket}`, `--io_size=${bytes}`]
  const { stdout } = await runCommand('fio', [...job, '--output-format=json', '--norandommap', ...args])
  const [{ read }] = (JSON.parse(stdout.slice(stdout.indexOf('{'))) as { jobs: [{ read: { runtime: number } }] }).jobs
  return read.runtime
}
