import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type BareVmRecipe, execStraight, prepareBareVm, recipeOf } from './support/bare-vm.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { interleave } from './support/interleave.ts'
import { type LazyHost, openLazyHost } from './support/lazy-host.ts'
import { type LazyOrigin, lazyOrigin } from './support/lazy-origin.ts'
import { missingLazyTools } from './support/missing-lazy-tools.ts'
import { startNbdkit } from './support/nbdkit.ts'
import { farLink, type Link, openLink } from './support/open-link.ts'
import { type ProgramName, programNames, programs, published, vmTrace } from './support/programs.ts'
import { ratios, summarize } from './support/statistics.ts'
import { TrafficLog } from './support/traffic-log.ts'

export const bench: Bench = {
  about:
    'create to the first output of a program in a VM whose image was never seen, over a link of 20 ms and 100 MB/s, beside QEMU alone with nbdkit, its curl plugin and its cache, and beside a pull of all of it',
  run,
}

const maxRequests = 100

type Row = BenchReport['rows'][number]

/** A host that reads from far away, and how QEMU is started there. */
interface Place {
  readonly origin: LazyOrigin
  readonly far: Link
  readonly host: LazyHost
  readonly recipe: BareVmRecipe
  readonly directory: string
}

async function run({ runs, small, say }: BenchOptions): Promise<BenchReport> {
  const missing = missingLazyTools()
  if (missing.length > 0) return { rows: missing, notes: [] }
  await using origin = await lazyOrigin(say)
  await using far = await openLink({ to: origin.registry.host, ...farLink })
  await using host = await openLazyHost(far.host)
  const directory = await mkdtemp('/tmp/cs-')
  try {
    const place = { origin, far, host, directory, recipe: await recipeOfLazy(host, far) }
    const rows: Row[] = []
    for (const name of small ? (['true'] as const) : programNames) {
      say(name)
      rows.push(...(await measure(place, name, { runs, say })))
      rows.push(...(await measureWhole(far, name)))
    }
    return { rows, notes: notesOf(place) }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Of a shed whose lower is a block device over NBD. */
async function recipeOfLazy(host: LazyHost, far: Link): Promise<BareVmRecipe> {
  const { daemon } = host
  await daemon.call('POST', '/api/sheds', { name: 'web', image: `${far.host}/${published}`, pull: 'lazy' })
  const recipe = await recipeOf(daemon, 'web')
  await daemon.call('DELETE', '/api/sheds/web?force=true')
  await host.forget()
  return recipe
}

async function measure(
  place: Place,
  name: ProgramName,
  { runs, say }: Pick<BenchOptions, 'runs' | 'say'>,
): Promise<Row[]> {
  const traffic = new TrafficLog(place.far)
  const count = (title: string, once: () => Promise<number>) => () => traffic.count(title, once)
  const titles = {
    small: 'QEMU alone, nbdkit curl, cache of 64 KiB',
    middle: 'QEMU alone, nbdkit curl, cache of 256 KiB',
    large: 'QEMU alone, nbdkit curl, cache of 1 MiB',
    unknown: 'cowshed, nothing known',
    traced: 'cowshed, by a trace',
  }
  const values = await interleave({
    runs,
    say,
    contestants: {
      small: count(titles.small, () => bareOverNbdkit(place, name, 64)),
      middle: count(titles.middle, () => bareOverNbdkit(place, name, 256)),
      large: count(titles.large, () => bareOverNbdkit(place, name, 1024)),
      unknown: count(titles.unknown, () => neverSeen(place, name, 'none')),
      traced: count(titles.traced, () => neverSeen(place, name, vmTrace(name))),
    },
  })
  const rowsOf = (key: keyof typeof titles): Row[] => [
    { kind: 'measured', name: `${name}: ${titles[key]}`, unit: 'ms', ...summarize(values[key]) },
    ...traffic.rowsOf(titles[key]),
  ]
  const requests = traffic.of(titles.traced).map((one) => one.requests / maxRequests)
  return [
    ...(Object.keys(titles) as (keyof typeof titles)[]).flatMap(rowsOf),
    { kind: 'ratio', name: `… requests by ${maxRequests}`, goal: 1, ...summarize(requests) },
    { kind: 'ratio', name: '… time by that of nbdkit with 64 KiB', goal: 1, ...ratios(values.traced, values.small) },
    { kind: 'ratio', name: '… with 256 KiB', goal: 1, ...ratios(values.traced, values.middle) },
    { kind: 'ratio', name: '… with 1 MiB', goal: 1, ...ratios(values.traced, values.large) },
  ]
}

/** The VM that a shed would be, with nbdkit as its lower. @param kib what nbdkit's cache fetches at a time */
async function bareOverNbdkit(
  { origin, far, recipe, directory }: Place,
  name: ProgramName,
  kib: number,
): Promise<number> {
  const own = await mkdtemp(join(directory, 'n'))
  const socket = join(own, 's')
  const args = recipe.args.map((arg) =>
    arg.replace(/("driver":"nbd","server":{"type":"unix","path":")[^"]+/, `$1${socket}`),
  )
  const boot = await prepareBareVm({ ...recipe, args }, join(own, 'vm'))
  const begun = performance.now()
  await using _server = await startNbdkit(socket, [
    ...['--filter=cache', 'curl', `url=http://${far.host}/v2/bench/flat/blobs/${origin.flat.digest}`],
    ...['cache-on-read=true', `cache-min-block-size=${kib}K`],
  ])
  await using vm = await boot()
  const code = await execStraight(vm.agent, programs[name])
  if (code !== 0) throw new Error(`${name} ended with code ${code}`)
  return performance.now() - begun
}

async function neverSeen({ host }: Place, name: ProgramName, trace: string): Promise<number> {
  const ms = await host.firstOutput({ name, pull: 'lazy', trace })
  await host.forget()
  return ms
}

/** What a host does that boots from nothing but the whole, and what it does the next time: once, because the first is long. */
async function measureWhole(far: Link, name: ProgramName): Promise<Row[]> {
  await using host = await openLazyHost(far.host)
  const traffic = new TrafficLog(far)
  const title = 'cowshed, all of it pulled first'
  const first = await traffic.count(title, () => host.firstOutput({ name, pull: 'whole' }))
  const next = await host.firstOutput({ name, pull: 'whole' })
  return [
    { kind: 'measured', name: `${name}: ${title}`, unit: 'ms', ...summarize([first]) },
    ...traffic.rowsOf(title),
    { kind: 'measured', name: `${name}: cowshed, all of it here`, unit: 'ms', ...summarize([next]) },
  ]
}

function notesOf({ origin, recipe: { args } }: Place): string[] {
  return [
    `acceleration: ${args[args.indexOf('-accel') + 1]?.split(',')[0]}; the lower has ${Math.round(origin.flat.bytes / 1e6)} MB`,
    'all times begin with nothing here, not even what the name stands for, and end with the program, by exec; nbdkit is given the address of the lower, uncompressed, and QEMU alone its disk before its time begins',
  ]
}
