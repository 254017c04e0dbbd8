import { describe, expect, test } from 'vitest'
import { type Digest, dataLayout, digestOf, Problem, parseDigest } from '../base/index.ts'
import type { PruneQuery, Shed } from '../contract/index.ts'
import type { RemovalPlan } from '../images/index.ts'
import type { LazyUse } from '../lazy/index.ts'
import type { DiskFile } from './disk-file.ts'
import { lazyEntries } from './eviction/lazy-entry.ts'
import { noEviction } from './eviction/plan-cache-eviction.ts'
import type { Inventory } from './inventory.ts'
import { goingSheds, type PlanPrune, planPrune } from './plan-prune.ts'

const layout = dataLayout('/d')
const now = new Date('2026-04-21T12:00:00Z')
const hours = (count: number) => new Date(now.getTime() - count * 3600e3).toISOString()

describe('instances', () => {
  test('stopped long enough ago go; everything else stays with its reason', () => {
    const { steps, skipped } = plan({
      sheds: [
        shed('old', { changed_at: hours(80) }),
        shed('crashed', { status: 'crashed', changed_at: hours(100) }),
        shed('dev', { status: 'running', changed_at: hours(100) }),
        shed('fresh', { changed_at: hours(3) }),
        shed('busy', { status: 'starting', changed_at: hours(100) }),
        shed('odd', { status: 'broken', status_reason: 'it is empty', changed_at: hours(9e5) }),
      ],
    })
    expect(steps.map(({ item }) => [item.kind, item.name])).toEqual([
      ['instance', 'old'],
      ['instance', 'crashed'],
    ])
    expect(skipped).toEqual([
      { kind: 'instance', name: 'dev', reason: 'cannot prune running shed' },
      { kind: 'instance', name: 'fresh', reason: 'too recent (3h < 72h)' },
      { kind: 'instance', name: 'busy', reason: 'cannot prune shed that is starting' },
      { kind: 'instance', name: 'odd', reason: 'cannot prune broken shed: it is empty' },
    ])
  })

  test('--until 0s is any age, and still keeps what runs', () => {
    const sheds = [shed('now', { changed_at: hours(0) }), shed('dev', { status: 'running' })]
    const { steps } = plan({ sheds }, { until_ms: 0 })
    expect(steps.map(({ item }) => item.name)).toEqual(['now'])
  })
})

describe('images', () => {
  const removal = (name: string, usedBy: string[], bytes: number[]): RemovalPlan => ({
    digest: digestOf(name),
    tags: [`${name}:latest`],
    isPinned: false,
    usedBy,
    manifests: [],
    files: bytes.map((physicalBytes, i) => ({
      kind: 'blob',
      path: `/d/blobs/${name}-${i}`,
      digest: digestOf(`${name}-${i}`),
      logicalBytes: physicalBytes * 2,
      physicalBytes,
    })),
  })

  test('that no shed needs go, with what they free; the others stay and say who needs them', () => {
    const removals = [removal('app', [], [100, 20]), removal('base', ['dev', 'web'], [])]
    const { steps, skipped } = plan({}, {}, removals)
    expect(steps.map(({ item }) => item)).toEqual([
      {
        kind: 'image',
        name: 'app:latest',
        path: '/d/blobs/app-0',
        action: 'remove',
        freed: { logical_bytes: 240, physical_bytes: 120 },
      },
    ])
    expect(skipped).toEqual([{ kind: 'image', name: 'base:latest', reason: 'used by dev, web' }])
  })

  test('are seen without the sheds that go in the same prune', () => {
    const sheds = [shed('old', { changed_at: hours(80) }), shed('dev', { status: 'running' })]
    const query = { dry_run: true, until_ms: 72 * 3600e3, log_tail_bytes: 0 }
    const inventory = { takenAt: now, ...nothing, sheds }
    expect([...goingSheds({ inventory, query })]).toEqual(['old'])
    expect([...goingSheds({ inventory, query: { ...query, scope: ['images'] } })]).toEqual([])
  })

  test('stay all of them when it cannot be known who needs them', () => {
    const { steps, skipped } = plan({}, {}, new Problem('RECORD_INVALID', 'the record of odd is empty'))
    expect(steps).toEqual([])
    expect(skipped).toEqual([{ kind: 'image', reason: 'nothing is removed: the record of odd is empty' }])
  })
})

test('an orphan that may be in the making is kept', () => {
  const orphans = [
    {
      ...file('/d/blobs/sha256/x', 7),
      modifiedAt: now.getTime() - 3 * 3600e3,
      why: 'no image has this blob',
      holds,
    },
    {
      ...file('/d/staging/load-1/y', 8),
      modifiedAt: now.getTime() - 60e3,
      why: 'left in staging',
    },
  ]
  const { steps, skipped } = plan({ orphans })
  expect(steps.map(({ item }) => [item.path, item.reason])).toEqual([['/d/blobs/sha256/x', 'no image has this blob']])
  expect(skipped).toEqual([
    { kind: 'orphan', path: '/d/staging/load-1/y', reason: 'too recent (1m < 1h): it may be in the making' },
  ])
})

test('while anything cannot be read, nothing that it may refer to is an orphan', () => {
  const old = now.getTime() - 100 * 3600e3
  const orphans = [
    { ...file('/d/blobs/sha256/x', 7), modifiedAt: old, why: 'no image has this blob', holds },
    { ...file('/d/staging/load-1/y', 8), modifiedAt: old, why: 'left in staging' },
  ]
  const { steps, skipped } = plan({ orphans, unreadable: ['the record of odd is empty'] })
  expect(steps.map(({ item }) => item.path)).toEqual(['/d/staging/load-1/y'])
  expect(skipped.map(({ reason }) => reason)).toEqual(['what needs it cannot be known: the record of odd is empty'])
})

test('logs are cut only when asked, and not of a shed that goes', () => {
  const long = (name: string) => [{ ...file(layout.shed(name).console, 9_000_000), modifiedAt: 0 }]
  const sheds = [shed('dev', { status: 'running' }, long('dev')), shed('old', { changed_at: hours(80) }, long('old'))]
  expect(plan({ sheds }).steps.map(({ kind }) => kind)).toEqual(['instance'])
  const { steps } = plan({ sheds }, { scope: ['instances', 'logs'], log_tail_bytes: 1_000_000 })
  expect(steps.map(({ item }) => [item.kind, item.name, item.action, item.freed.logical_bytes])).toEqual([
    ['instance', 'old', 'remove', 9_000_000],
    ['log', 'dev', 'truncate', 8_000_000],
  ])
})

test('the id of a plan names what would be done', () => {
  const sheds = [shed('old', { changed_at: hours(80) })]
  expect(plan({ sheds }).id).toBe(plan({ sheds }).id)
  expect(plan({ sheds }).id).not.toBe(plan({ sheds: [shed('other', { changed_at: hours(80) })] }).id)
})

const holds = { kind: 'blob', digest: digestOf('x') } as const

describe('layers', () => {
  const blob = {
    kind: 'blob' as const,
    path: '/d/blobs/a',
    digest: digestOf('a'),
    logicalBytes: 200,
    physicalBytes: 100,
  }
  const drops = [
    { digest: digestOf('app'), tags: ['app:1'], files: [blob], kept: undefined },
    { digest: digestOf('new'), tags: ['new:1'], files: [], kept: 'it has no lower yet' },
  ]

  test('go only when they are asked for; images that need theirs say why', () => {
    expect(plan({}, {}, [], drops).steps).toEqual([])
    const { steps, skipped } = plan({}, { scope: ['layers'] }, [], drops)
    expect(steps.map(({ item }) => item)).toEqual([
      { kind: 'layers', name: 'app:1', action: 'remove', freed: { logical_bytes: 200, physical_bytes: 100 } },
    ])
    expect(skipped).toEqual([{ kind: 'layers', name: 'new:1', reason: 'it has no lower yet' }])
  })

  test('stay when it cannot be known who needs them', () => {
    const { steps, skipped } = plan({}, { scope: ['layers'] }, [], new Problem('RECORD_INVALID', 'one is broken'))
    expect(steps).toEqual([])
    expect(skipped).toEqual([{ kind: 'layers', reason: 'nothing is removed: one is broken' }])
  })
})

const nothing = {
  snapshots: [],
  volumes: [],
  images: [],
  sheds: [],
  derived: [],
  kernels: [],
  templates: [],
  lazy: [],
  downloads: [],
  own: [],
  orphans: [],
  foreign: [],
  unreadable: [],
}

test('volumes are never pruned, and those that no shed has are told of', () => {
  const made = { id: '', bytes: 1, physical_bytes: 1, created_at: hours(1000) }
  const attached_to = [{ shed: 'web', path: '/d', read_only: false }]
  const volumes = [
    { volume: { ...made, name: 'loose', status: 'detached' as const, attached_to: [] }, files: [] },
    { volume: { ...made, name: 'used', status: 'attached' as const, attached_to }, files: [] },
  ]
  const { steps, skipped } = plan({ volumes })
  expect(steps).toEqual([])
  expect(skipped).toEqual([
    { kind: 'volume', name: 'loose', reason: 'volumes are never pruned (to remove it: cowshed volume rm loose)' },
  ])
})

describe('what is partly here', () => {
  const digest = (digit: string) => parseDigest(`sha256:${digit.repeat(64)}`)
  const dataOf = (chunkIndex: Digest, age: number): DiskFile => ({
    ...file(layout.lazyLower(chunkIndex).data, 4096),
    modifiedAt: Date.parse(hours(age)),
  })
  const sourceOf = (reference: string) => ({
    ...{ version: 1 as const, reference, repository: { registry: 'r', path: 'app' }, plain_http: false },
    ...{
      published_as: digest('4'),
      manifest_digest: digest('5'),
      profile: 'plain' as const,
      lower_bytes: 4096,
      data: [],
    },
  })
  const [old, young, served] = [digest('1'), digest('2'), digest('3')]
  const inventory = { lazy: [dataOf(old, 100), dataOf(young, 1), dataOf(served, 100)] }
  const uses = [
    { chunkIndex: old, source: undefined, isOpen: false },
    { chunkIndex: young, source: sourceOf('app:2'), isOpen: false },
    { chunkIndex: served, source: sourceOf('app:3'), isOpen: true },
  ]

  test('goes when it is asked for, of any age unless told, but not what is being served', () => {
    const { steps, skipped } = plan(inventory, { scope: ['lazy'], until_ms: undefined }, [], [], uses)
    expect(steps.map(({ item }) => item.name)).toEqual(['111111111111', 'app:2'])
    expect(skipped).toEqual([{ kind: 'lazy', name: 'app:3', reason: 'it is being served' }])
  })

  test('stays when its image is pinned, or a shed that does not run is made from it', () => {
    const lazy = { chunk_index_digest: old, profile: 'plain' }
    const taken = { takenAt: now, ...nothing, ...inventory, sheds: [shed('web', { lazy })] }
    const entries = lazyEntries({ inventory: taken, lazy: uses, pinned: new Map([[digest('5'), 'app:2']]), layout })
    expect(entries.map(({ keptBy }) => keptBy)).toEqual([
      'shed web reads it',
      expect.stringContaining('cowshed image unpin app:2'),
      'it is being served',
    ])
  })

  test('stays when it was used lately, or nobody asked for it', () => {
    const { steps, skipped } = plan(inventory, { scope: ['lazy'] }, [], [], uses)
    expect(steps.map(({ item }) => item.name)).toEqual(['111111111111'])
    expect(skipped).toContainEqual({ kind: 'lazy', name: 'app:2', reason: 'too recent (1h < 72h)' })
    expect(plan(inventory, {}, [], [], uses).steps).toEqual([])
  })
})

function plan(
  given: Partial<Inventory>,
  query: Partial<PruneQuery> = {},
  removals: PlanPrune['removals'] = [],
  drops: PlanPrune['drops'] = [],
  lazy: readonly LazyUse[] = [],
) {
  const full: PruneQuery = { dry_run: true, until_ms: 72 * 3600e3, log_tail_bytes: 5 * 2 ** 20, ...query }
  const inventory = { takenAt: now, ...nothing, ...given }
  return planPrune({
    inventory,
    query: full,
    layout,
    removals,
    drops,
    eviction: noEviction,
    lazy: lazyEntries({ inventory, lazy, pinned: new Map(), layout }),
  })
}

function shed(name: string, rest: Partial<Shed>, files: DiskFile[] = [file(layout.shed(name).upper, 1000)]) {
  const made: Shed = {
    name,
    id: '0123456789ab',
    status: 'stopped',
    image: { ref: 'app', manifest_digest: digestOf('app') },
    cpus: 1,
    memory_bytes: 1,
    upper_bytes: 1,
    rootfs: 'erofs',
    network: 'user',
    env: {},
    labels: {},
    volumes: [],
    secrets: [],
    thermal: { warm_after_ms: 'never', cold_after_ms: 'never', keep_hot: false },
    created_at: hours(1000),
    changed_at: hours(1000),
    backend: 'qemu',
    forwards: [],
    ...rest,
  }
  return { shed: made, files }
}

function file(path: string, bytes: number): DiskFile {
  return {
    path,
    size: { logical_bytes: bytes, physical_bytes: bytes },
    modifiedAt: now.getTime(),
    inode: path,
    links: 1,
    changedAt: 0,
  }
}
