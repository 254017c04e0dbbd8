import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { dataLayout } from '../src/base/index.ts'
import { openBlobStore } from '../src/blobs/index.ts'
import { openImages } from '../src/images/index.ts'
import { openRegistries, serveNbd } from '../src/wires/index.ts'
import { isOnPath } from '../test/support/needs.ts'
import { registryTools } from '../test/support/registry.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { interleave } from './support/interleave.ts'
import {
  attachPublished,
  type LazyOrigin,
  lazyOrigin,
  type ProgramName,
  programs,
  published,
  runProgram,
} from './support/lazy-origin.ts'
import { mountNbd, mountTools } from './support/mounted-nbd.ts'
import { startNbdkit } from './support/nbdkit.ts'
import { type Link, type LinkTraffic, openLink } from './support/open-link.ts'
import { summarize } from './support/statistics.ts'

export const bench: Bench = {
  about:
    'the first output of a program in an image that was never seen, over a link of 20 ms and 100 MB/s, beside nbdkit with its curl plugin and its cache, and beside a pull of all of it',
  run,
}

const link = { delayMs: 20, bytesPerSecond: 100e6 }
/** In milliseconds, requests, and bytes by those that the program reads. */
const goals = { true: 150, python: 800, node: 1000 } as const
const maxRequests = 100
const maxBytes = 1.6

async function run({ runs, small, say }: BenchOptions): Promise<BenchReport> {
  const missing = [...registryTools, ...mountTools, 'nbdkit', 'mmdebstrap', 'skopeo'].filter((tool) => !isOnPath(tool))
  if (missing.length > 0 || process.getuid?.() !== 0) {
    const why = missing.length > 0 ? 'is not installed' : 'is who can mount'
    return { rows: (missing.length > 0 ? missing : ['root']).map((name) => ({ kind: 'absent', name, why })), notes: [] }
  }
  await using origin = await lazyOrigin(say)
  await using far = await openLink({ to: origin.registry.host, ...link })
  const rows: Row[] = []
  for (const name of small ? (['true'] as const) : (Object.keys(programs) as ProgramName[])) {
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
  /** What each contestant took, run by run. */
  readonly traffic: Map<string, LinkTraffic[]>
}

async function openStage({ origin, far, name }: Pick<Stage, 'origin' | 'far' | 'name'>): Promise<Stage> {
  const directory = await mkdtemp('/tmp/cs-')
  let made = 0
  return {
    ...{ origin, far, name, traffic: new Map() },
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
    'cowshed, by a trace, its reads alone': () => replayed(stage, stage.name),
    'cowshed, nothing known, its reads alone': () => replayed(stage, 'none'),
  }
  const lanes = Object.fromEntries(
    Object.entries(contestants).map(([title, once]) => [title, () => counted(stage, title, once)]),
  )
  const values = await interleave({ runs, say, contestants: lanes })
  return Object.entries(values).flatMap(([title, ms]) => rowsOf(stage, title, ms))
}

function rowsOf({ origin, name, traffic }: Stage, title: string, ms: readonly number[]): Row[] {
  const took = traffic.get(title) ?? []
  const requests = took.map((one) => one.requests)
  const bytes = took.map((one) => one.bytes)
  const measured: Row[] = [
    { kind: 'measured', name: `${name}: ${title}`, unit: 'ms', ...summarize(ms) },
    { kind: 'measured', name: '… requests', unit: 'GETs', ...summarize(requests) },
    { kind: 'measured', name: '… over the link', unit: 'MB', ...summarize(bytes.map((count) => count / 1e6)) },
  ]
  if (!title.includes('trace')) return measured
  const read = sizeOf(origin, name)
  const by = (values: readonly number[], unit: number) => summarize(values.map((value) => value / unit))
  return [
    ...measured,
    { kind: 'ratio', name: `… time by ${goals[name]} ms`, goal: 1, ...by(ms, goals[name]) },
    { kind: 'ratio', name: `… requests by ${maxRequests}`, goal: 1, ...by(requests, maxRequests) },
    { kind: 'ratio', name: '… bytes by those that the program reads', goal: maxBytes, ...by(bytes, read) },
  ]
}

function sizeOf({ reads }: LazyOrigin, name: ProgramName): number {
  return reads[name].reduce((sum, { length }) => sum + length, 0)
}

async function counted(stage: Stage, title: string, once: () => Promise<number>): Promise<number> {
  await stage.far.traffic()
  const value = await once()
  stage.traffic.set(title, [...(stage.traffic.get(title) ?? []), await stage.far.traffic()])
  return value
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
    await far.traffic()
    const begun = performance.now()
    await images.pull({ ref: `${far.host}/${published}`, insecure: true })
    const ms = performance.now() - begun
    const { requests, bytes } = await far.traffic()
    return [
      { kind: 'measured', name: 'cowshed, all of it pulled first', unit: 'ms', ...summarize([ms]) },
      { kind: 'measured', name: '… requests', unit: 'GETs', ...summarize([requests]) },
      { kind: 'measured', name: '… over the link', unit: 'MB', ...summarize([bytes / 1e6]) },
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
  const names = Object.keys(programs) as ProgramName[]
  const read = names.map((name) => `${name} ${Math.round(sizeOf(origin, name) / 1e5) / 10} MB`).join(', ')
  return [
    `the lower has ${Math.round(origin.flat.bytes / 1e6)} MB; of it the programs read, with the mount: ${read}`,
    'all times begin with nothing here, not even what the name stands for, and end with the program; nbdkit is given the address of the lower, uncompressed',
  ]
}
