import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { dataLayout } from '../src/base/index.ts'
import { openBlobStore } from '../src/blobs/index.ts'
import { openImages } from '../src/images/index.ts'
import { openRegistries, serveFuse, serveNbd } from '../src/wires/index.ts'
import { ensureBuilt } from '../test/support/build.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { interleave } from './support/interleave.ts'
import { attachPublished, type LazyOrigin, lazyOrigin, runProgram } from './support/lazy-origin.ts'
import { serveInProcess } from './support/lazy-process.ts'
import { missingLazyTools } from './support/missing-lazy-tools.ts'
import { mountErofs } from './support/mount-erofs.ts'
import { mountNbd } from './support/mounted-nbd.ts'
import { startNbdkit } from './support/nbdkit.ts'
import { farLink, type Link, openLink } from './support/open-link.ts'
import { type ProgramName, programNames, published } from './support/programs.ts'
import { summarize } from './support/statistics.ts'
import { TrafficLog } from './support/traffic-log.ts'

export const bench: Bench = {
  about:
    'the first output of a program in an image that was never seen, over a link of 20 ms and 100 MB/s, beside nbdkit with its curl plugin and its cache, and beside a pull of all of it',
  run,
}

/** In milliseconds, requests, and bytes by those that the program reads. */
const goals = { true: 150, python: 800, node: 1000 } as const
const maxRequests = 100
const maxBytes = 1.6

async function run({ runs, small, say }: BenchOptions): Promise<BenchReport> {
  const missing = missingLazyTools()
  if (missing.length > 0) return { rows: missing, notes: [] }
  await ensureBuilt()
  await using origin = await lazyOrigin(say)
  await using far = await openLink({ to: origin.registry.host, ...farLink })
  const rows: Row[] = []
  for (const name of small ? (['true'] as const) : programNames) {
    await using stage = await openStage({ origin, far, name })
    say(name)
    rows.push(...(await measure(stage, { runs, say })))
  }
  rows.push(...(await pullWhole(far)))
  return { rows, notes: notesOf(origin) }
}

type Row = BenchReport['rows'][number]

/** One program, and all that can be read from to run it. */
interface Stage extends AsyncDisposable {
  readonly origin: LazyOrigin
  readonly far: Link
  readonly name: ProgramName
  /** An empty directory, anew each time. */
  readonly scratch: () => Promise<string>
  readonly traffic: TrafficLog
}

async function openStage({ origin, far, name }: Pick<Stage, 'origin' | 'far' | 'name'>): Promise<Stage> {
  const directory = await mkdtemp('/tmp/cs-')
  let made = 0
  return {
    ...{ origin, far, name, traffic: new TrafficLog(far) },
    scratch: async () => {
      const path = join(directory, `${made++}`)
      await mkdir(path)
      return path
    },
    [Symbol.asyncDispose]: async () => await rm(directory, { recursive: true, force: true }),
  }
}

async function measure(stage: Stage, { runs, say }: Pick<BenchOptions, 'runs' | 'say'>): Promise<Row[]> {
  const contestants = {
    'nbdkit curl, cache of 64 KiB': () => nbdkit(stage, 64),
    'nbdkit curl, cache of 256 KiB': () => nbdkit(stage, 256),
    'nbdkit curl, cache of 1 MiB': () => nbdkit(stage, 1024),
    'cowshed, nothing known': () => cowshed(stage, 'none'),
    'cowshed, by a trace': () => cowshed(stage, stage.name),
    'cowshed as a file, nothing known': () => cowshedFile(stage, 'none'),
    'cowshed as a file, by a trace': () => cowshedFile(stage, stage.name),
    'cowshed lazy serve, with the start of its process': () => cowshedProcess(stage),
    'cowshed, by a trace, its reads alone': () => replayed(stage, stage.name),
    'cowshed, nothing known, its reads alone': () => replayed(stage, 'none'),
  }
  const lanes = Object.fromEntries(
    Object.entries(contestants).map(([title, once]) => [title, () => stage.traffic.count(title, once)]),
  )
  const values = await interleave({ runs, say, contestants: lanes })
  return Object.entries(values).flatMap(([title, ms]) => rowsOf(stage, title, ms))
}

function rowsOf({ origin, name, traffic }: Stage, title: string, ms: readonly number[]): Row[] {
  const measured: Row[] = [
    { kind: 'measured', name: `${name}: ${title}`, unit: 'ms', ...summarize(ms) },
    ...traffic.rowsOf(title),
  ]
  if (!title.includes('trace')) return measured
  const requests = traffic.of(title).map((one) => one.requests)
  const bytes = traffic.of(title).map((one) => one.bytes)
  const by = (values: readonly number[], unit: number) => summarize(values.map((value) => value / unit))
  return [
    ...measured,
    { kind: 'ratio', name: `… time by ${goals[name]} ms`, goal: 1, ...by(ms, goals[name]) },
    { kind: 'ratio', name: `… requests by ${maxRequests}`, goal: 1, ...by(requests, maxRequests) },
    {
      ...{ kind: 'ratio', name: '… bytes by those that the program reads', goal: maxBytes },
      ...by(bytes, sizeOf(origin, name)),
    },
  ]
}

function sizeOf({ reads }: LazyOrigin, name: ProgramName): number {
  return reads[name].reduce((sum, { length }) => sum + length, 0)
}

/** nbdkit fetches ranges of the lower as it is. @param kib what its cache fetches at a time */
async function nbdkit({ origin, far, name, scratch }: Stage, kib: number): Promise<number> {
  const directory = await scratch()
  const socket = join(directory, 's')
  const begun = performance.now()
  await using _server = await startNbdkit(socket, [
    ...['--filter=cache', 'curl', `url=http://${far.host}/v2/bench/flat/blobs/${origin.flat.digest}`],
    ...['cache-on-read=true', `cache-min-block-size=${kib}K`],
  ])
  return await runMounted({ socket, directory, name, begun })
}

/** A host that knows nothing of the image. @param trace a name that no trace has: it fetches what is read and no more */
async function cowshed({ far, name, scratch }: Stage, trace: string): Promise<number> {
  const directory = await scratch()
  const socket = join(directory, 's')
  const begun = performance.now()
  await using attached = await attachPublished({ data: join(directory, 'd'), host: far.host, trace })
  const server = await serveNbd(attached.lower, { kind: 'unix', path: socket })
  try {
    return await runMounted({ socket, directory, name, begun })
  } finally {
    await server.close()
  }
}

/** The same as users have it, who start a process: by the trace of the program. */
async function cowshedProcess({ far, name, scratch }: Stage): Promise<number> {
  const directory = await scratch()
  const socket = join(directory, 's')
  const begun = performance.now()
  await using _server = await serveInProcess({ data: join(directory, 'd'), host: far.host, socket, trace: name })
  return await runMounted({ socket, directory, name, begun })
}

/** The same with what `--fuse` serves: no client of another between the kernel and the server. */
async function cowshedFile({ far, name, scratch }: Stage, trace: string): Promise<number> {
  const directory = await scratch()
  const root = join(directory, 'root')
  await mkdir(root)
  const begun = performance.now()
  await using attached = await attachPublished({ data: join(directory, 'd'), host: far.host, trace })
  const server = await serveFuse(attached.lower, join(directory, 'f'))
  try {
    await using _mounted = await mountErofs(server.path, root)
    await runProgram(root, name)
    return performance.now() - begun
  } finally {
    await server.close()
  }
}

interface RunMounted {
  readonly socket: string
  readonly directory: string
  readonly name: ProgramName
  readonly begun: number
}

/** @returns milliseconds from `begun` until the program has ended, which is as soon as it has written something */
async function runMounted({ socket, directory, name, begun }: RunMounted): Promise<number> {
  await using mounted = await mountNbd(socket, directory)
  await runProgram(mounted.root, name)
  return performance.now() - begun
}

/** What a host does that boots from nothing but the whole: once, because it is long. */
async function pullWhole(far: Link): Promise<Row[]> {
  const scratch = await mkdtemp('/tmp/cs-')
  const registries = openRegistries()
  try {
    const layout = dataLayout(scratch)
    const blobs = await openBlobStore(layout)
    const images = openImages({ layout, blobs, registries, users: async () => [] })
    const traffic = new TrafficLog(far)
    const title = 'cowshed, all of it pulled first'
    const begun = performance.now()
    await traffic.count(title, () => images.pull({ ref: `${far.host}/${published}`, insecure: true }))
    return [
      { kind: 'measured', name: title, unit: 'ms', ...summarize([performance.now() - begun]) },
      ...traffic.rowsOf(title),
    ]
  } finally {
    await registries.close()
    await rm(scratch, { recursive: true, force: true })
  }
}

/** The same without a kernel, a mount and a program: one read after the other, each as soon as the one before it is answered. */
async function replayed({ origin, far, name, scratch }: Stage, trace: string): Promise<number> {
  const data = join(await scratch(), 'd')
  const begun = performance.now()
  await using attached = await attachPublished({ data, host: far.host, trace })
  for (const { offset, length } of origin.reads[name]) await attached.lower.read(offset, length)
  return performance.now() - begun
}

function notesOf(origin: LazyOrigin): string[] {
  const read = programNames.map((name) => `${name} ${Math.round(sizeOf(origin, name) / 1e5) / 10} MB`).join(', ')
  return [
    `the lower has ${Math.round(origin.flat.bytes / 1e6)} MB; of it the programs read, with the mount: ${read}`,
    'all times begin with nothing here, not even what the name stands for, and end with the program; nbdkit is given the address of the lower, uncompressed',
  ]
}
