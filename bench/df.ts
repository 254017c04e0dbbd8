import { lstatSync, statSync } from 'node:fs'
import { mkdir, open, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PruneReport, UsageReport } from '../src/contract/index.ts'
import { measureSpace, settleFilesystem } from '../src/host/index.ts'
import { busyboxArchive } from '../test/support/busybox-image.ts'
import { buildLayer } from '../test/support/image-builder.ts'
import { mountFresh } from '../test/support/mount-filesystem.ts'
import { isOnPath } from '../test/support/needs.ts'
import { noise } from '../test/support/noise.ts'
import { xfsDataBytes } from '../test/support/xfs-data-bytes.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { type BenchDaemon, image, startBenchDaemon } from './support/bench-daemon.ts'
import { interleave } from './support/interleave.ts'
import { runCommand } from './support/run-command.ts'
import { ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about:
    'df of 10 and 1,000 sheds of ten images, and the plan of a prune of all, against btrfs filesystem du, compsize and du',
  run,
}

type Row = BenchReport['rows'][number]
type Type = 'btrfs' | 'xfs'

const counts = { full: [10, 1000], small: [5, 50] }
const imageCount = 10
const goalMs = 50
/** After so many the daemon's code is compiled. */
const warmUpCalls = 10
/** A daemon looks at its disk by itself some seconds after its start. */
const lookedAfterMs = 10_000
/** What has been left alone for less than this is looked at once more. */
const settledAfterMs = 200
const filesystemBytes = 6 * 2 ** 30
/** xfs tells data from what is its own only so. */
const mkfs: Record<Type, readonly string[]> = { btrfs: [], xfs: ['-m', 'rmapbt=1'] }

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
      'by the clock of a client with an open connection, to the last byte of the answer; each shed has 64 KiB of its own in its upper',
      'first: of a daemon that has just started, at once or when it has looked by itself; second: the next, nothing has changed since; warm: after ten more',
      'one shed has been written to: 64 KiB of an upper, on a daemon that is warm; the plan of a prune looks at everything anew',
      'floor: one lstat of each file and directory, which no exact df can do without, by a program that knows their names',
      'prediction: how far what all sheds free is from what was predicted, by what was predicted; data alone, and all that the filesystem has got back',
    ],
  }
}

async function runOn(type: Type, options: BenchOptions): Promise<Row[]> {
  await using filesystem = await mountFresh(type, filesystemBytes, [], mkfs[type])
  const data = join(filesystem.directory, 'd')
  await mkdir(data)
  const rows: Row[] = []
  let made = 0
  for (const count of options.small ? counts.small : counts.full) {
    {
      await using daemon = await startBenchDaemon({
        data,
        kernel: 'without kernel',
        image: made === 0 ? 'loaded' : 'kept',
      })
      if (made === 0) await loadImages(daemon, data)
      await makeSheds(daemon, made, count)
    }
    made = count
    rows.push(...(await measureAt(type, data, count, options)))
  }
  await using daemon = await startBenchDaemon({ data, kernel: 'without kernel', image: 'kept' })
  rows.push(...(await prediction(type, daemon, `${type}, ${made} sheds`)))
  return rows
}

async function measureAt(type: Type, data: string, count: number, { runs, say }: BenchOptions): Promise<Row[]> {
  await using server = restartable(data)
  const names = await namesBelow(data)
  const df = () => timed(async () => await (await server.daemon()).read('/api/system/df'))
  const values: Record<string, number[]> = await interleave({
    runs,
    say,
    contestants: {
      first: async () => {
        await server.restart()
        return await df()
      },
      second: df,
      warm: async () => {
        for (let call = 0; call < warmUpCalls; call++) await df()
        return await df()
      },
      written: async () => {
        await writeToShed(await server.daemon())
        return await df()
      },
      ahead: async () => {
        await server.restart()
        await sleep(lookedAfterMs)
        return await df()
      },
      plan: () =>
        timed(async () => await (await server.daemon()).call('POST', '/api/system/prune?dry_run=true&until=0s')),
      floor: () => timed(async () => lookAt(names)),
      du: async () => (await runCommand('du', ['-s', data])).ms,
      ...peers[type](data),
    },
  })
  return rowsOf(`${type}, ${count} sheds`, values)
}

function rowsOf(where: string, values: Record<string, number[]>): Row[] {
  const { first = [], ahead = [], second = [], warm = [], written = [], floor = [], btrfsDu } = values
  const ratio = (name: string, goal: number, by: ReturnType<typeof summarize>): Row => ({
    kind: 'ratio',
    name: `${where}: ${name}`,
    goal,
    ...by,
  })
  return [
    ...Object.entries(values).map(
      ([name, ms]): Row => ({
        kind: 'measured',
        name: `${where}: ${titles[name] ?? name}`,
        unit: 'ms',
        ...summarize(ms),
      }),
    ),
    ratio(`df, second / ${goalMs} ms`, 1, summarize(second.map((ms) => ms / goalMs))),
    ratio(`df, of a daemon that is warm / ${goalMs} ms`, 1, summarize(warm.map((ms) => ms / goalMs))),
    ratio(`df, one shed has been written to / ${goalMs} ms`, 1, summarize(written.map((ms) => ms / goalMs))),
    ratio('df, of a daemon that is warm / floor', 3, ratios(warm, floor)),
    ...(btrfsDu === undefined
      ? []
      : [
          ratio('df, first, at once / btrfs filesystem du -s', 1, ratios(first, btrfsDu)),
          ratio('df, first, 10 s after the start / btrfs filesystem du -s', 1, ratios(ahead, btrfsDu)),
        ]),
  ]
}

const titles: Readonly<Record<string, string>> = {
  first: 'df, first, at once',
  ahead: 'df, first, 10 s after the start',
  second: 'df, second',
  warm: 'df, of a daemon that is warm',
  written: 'df, one shed has been written to',
  plan: 'plan of a prune',
  floor: 'floor',
  du: 'du -s',
  btrfsDu: 'btrfs filesystem du -s',
}

const peers: Record<Type, (data: string) => Record<string, () => Promise<number>>> = {
  btrfs: (data) => ({
    btrfsDu: async () => (await runCommand('btrfs', ['filesystem', 'du', '-s', data])).ms,
    compsize: async () => (await runCommand('compsize', ['-x', data])).ms,
  }),
  xfs: () => ({}),
}

/** A daemon that can be started anew, so that it knows nothing. */
function restartable(data: string) {
  let running: BenchDaemon | undefined
  const stop = async () => {
    await running?.[Symbol.asyncDispose]()
    running = undefined
  }
  const daemon = async () => {
    running ??= await startBenchDaemon({ data, kernel: 'without kernel', image: 'kept' })
    return running
  }
  return {
    daemon,
    async restart() {
      await stop()
      await daemon()
    },
    [Symbol.asyncDispose]: stop,
  }
}

async function writeToShed({ layout }: BenchDaemon): Promise<void> {
  await using upper = await open(layout.shed('shed-1').upper, 'r+')
  await upper.write(noise(65_536, `at ${performance.now()}`), 0, 65_536, 16 << 20)
  await sleep(settledAfterMs)
}

/** Nine more, which have a layer each that no other has. */
async function loadImages(daemon: BenchDaemon, data: string): Promise<void> {
  const path = join(data, 'more-image.tar')
  for (let at = 1; at < imageCount; at++) {
    const own = buildLayer([{ path: `srv/own-${at}`, content: noise(2 ** 20, `image ${at}`) }])
    await writeFile(path, busyboxArchive(`image:${at}`, [], [own]))
    await daemon.call('POST', '/api/images/load', { path })
  }
  await rm(path)
}

async function makeSheds(daemon: BenchDaemon, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at++) {
    const name = `shed-${at}`
    const its = at % imageCount === 0 ? image : `image:${at % imageCount}`
    await daemon.call('POST', '/api/sheds', { name, image: its, start: false })
    await using upper = await open(daemon.layout.shed(name).upper, 'r+')
    await upper.write(noise(65_536, at), 0, 65_536, 16 << 20)
  }
}

interface Names {
  readonly directories: readonly string[]
  readonly files: readonly string[]
}

async function namesBelow(root: string): Promise<Names> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  const paths = (wanted: typeof entries) => wanted.map(({ parentPath, name }) => join(parentPath, name))
  return {
    directories: [root, ...paths(entries.filter((entry) => entry.isDirectory()))],
    files: paths(entries.filter((entry) => entry.isFile())),
  }
}

function lookAt({ directories, files }: Names): void {
  for (const path of directories) statSync(path)
  // The daemon's own may have gone with the last one.
  for (const path of files) lstatSync(path, { throwIfNoEntry: false })
}

/** How far what was freed is from what was predicted: of data, and with what the filesystem had for itself. */
async function prediction(type: Type, daemon: BenchDaemon, where: string): Promise<Row[]> {
  const { root } = daemon.layout
  const look = async () => ({ own: await daemonBytes(daemon), ...usedOn(type, root) })
  const before = await look()
  const { totals } = await daemon.call<PruneReport>('POST', '/api/system/prune?dry_run=false&until=0s&scope=instances')
  const after = await look()
  // What the daemon wrote about it meanwhile.
  const noted = after.own - before.own
  const off = (freed: number) => [Math.abs(freed + noted - totals.predicted_bytes) / totals.predicted_bytes]
  return [
    { kind: 'ratio', name: `${where}: prediction`, goal: 0.01, ...summarize(off(before.data - after.data)) },
    {
      kind: 'ratio',
      name: `${where}: prediction, inodes and all`,
      goal: 0.03,
      ...summarize(off(before.all - after.all)),
    },
  ]
}

function usedOn(type: Type, root: string): { readonly data: number; readonly all: number } {
  settleFilesystem(root)
  const { usedBytes, dataBytes = usedBytes } = measureSpace(root)
  return { data: type === 'xfs' ? xfsDataBytes(root) : dataBytes, all: dataBytes }
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
