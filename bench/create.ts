import { isOnPath } from '../test/support/needs.ts'
import { baseRootfs } from './support/base-rootfs.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { type OpenedPlace, type Place, placeIsThere, places, withPlace } from './support/create-place.ts'
import { interleave } from './support/interleave.ts'
import { percentile, ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about: 'a shed is made, not started, over the HTTP API, against cp --reflink=auto of a 1 GiB root filesystem',
  run,
}

/** Of each run; beside which the many are looked at; and how many of those are timed. */
const counts = { few: 10, many: 1000, timed: 200 }
const goalMs = 10

type Row = BenchReport['rows'][number]

async function run(options: BenchOptions): Promise<BenchReport> {
  const missing = ['busybox', 'mke2fs'].filter((tool) => !isOnPath(tool))
  if (missing.length > 0)
    return { rows: missing.map((name) => ({ kind: 'absent', name, why: 'is not installed' })), notes: [] }
  const base = await baseRootfs(options.small ? 'minbase' : 'large')
  const rows: Row[] = []
  for (const place of places) {
    options.say(`on ${place}`)
    if (placeIsThere(place)) rows.push(...(await withPlace(place, base, (opened) => runAt(place, opened, options))))
    else rows.push({ kind: 'absent', name: place, why: `mkfs.${place} is not installed` })
  }
  return {
    rows,
    notes: [
      `create: p50 of ${counts.few} in each run, by the clock of a client with an open connection; a shed is durable when it is answered`,
      'cp: not durable when it ends; “cp, synced” has an fsync of the copy after it',
      `many: ${counts.timed} creates beside ${counts.many} sheds; on disk: what the filesystem has used for them, the events in the index included, by their number`,
      'btrfs is mounted with ssd, as it mounts itself on disks that do not turn',
    ],
  }
}

async function runAt(place: Place, opened: OpenedPlace, { runs, small, say }: BenchOptions): Promise<Row[]> {
  const { makeSheds } = opened
  await makeSheds(counts.few)
  const values = await interleave({
    runs,
    say,
    contestants: {
      create: async () => percentile(await makeSheds(counts.few), 50),
      cp: () => opened.copy('as it is'),
      synced: () => opened.copy('synced'),
    },
  })
  const few = summarize(values.create)
  const bytes = await opened.bytesPerShed(small ? counts.few : counts.many)
  const many = await makeSheds(small ? counts.few : counts.timed)
  const named = (name: string) => `${place}: ${name}`
  const againstFew = (what: string, ms: number): Row => {
    return { kind: 'ratio', name: named(`${what} of many / p50 of few`), goal: 2, ...summarize([ms / few.median]) }
  }
  return [
    { kind: 'measured', name: named('create'), unit: 'ms', ...few },
    { kind: 'measured', name: named('cp'), unit: 'ms', ...summarize(values.cp) },
    { kind: 'measured', name: named('cp, synced'), unit: 'ms', ...summarize(values.synced) },
    { kind: 'measured', name: named('on disk, each'), unit: 'KiB', ...summarize([bytes / 1024]) },
    {
      kind: 'ratio',
      name: named(`create / ${goalMs} ms`),
      goal: 1,
      ...summarize(values.create.map((ms) => ms / goalMs)),
    },
    { kind: 'ratio', name: named('create / cp'), goal: opened.goal, ...ratios(values.create, values.cp) },
    { kind: 'ratio', name: named('create / cp, synced'), goal: opened.goal, ...ratios(values.create, values.synced) },
    againstFew('p50', percentile(many, 50)),
    againstFew('p99', percentile(many, 99)),
  ]
}
