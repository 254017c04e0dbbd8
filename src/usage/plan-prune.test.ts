import { describe, expect, test } from 'vitest'
import { type Digest, dataLayout, digestOf } from '../base/index.ts'
import type { PruneQuery, Shed } from '../contract/index.ts'
import type { DiskFile, ImageHolding, Inventory } from './inventory.ts'
import { planPrune } from './plan-prune.ts'

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
  const shared = file('/d/blobs/shared', 100)

  test('are seen as they will be once the pruned sheds are gone', () => {
    const sheds = [
      shed('old', { changed_at: hours(80), image: 'app' }),
      shed('dev', { status: 'running', image: 'base' }),
    ]
    const { steps, skipped } = plan({ sheds, images: [image('app'), image('base')] })
    expect(steps.map(({ item }) => [item.kind, item.name])).toEqual([
      ['instance', 'old'],
      ['image', 'app:latest'],
    ])
    expect(skipped).toContainEqual({ kind: 'image', name: 'base:latest', reason: 'used by dev' })
  })

  test('without the instances scope a stopped shed keeps its image', () => {
    const sheds = [shed('old', { changed_at: hours(80), image: 'app' })]
    const { steps, skipped } = plan({ sheds, images: [image('app')] }, { scope: ['images'] })
    expect(steps).toEqual([])
    expect(skipped).toEqual([{ kind: 'image', name: 'app:latest', reason: 'used by old' }])
  })

  test('free what no image that stays holds, and each byte once', () => {
    const images = [
      image('a', [shared, file('/d/blobs/a', 10)]),
      image('b', [shared, file('/d/blobs/b', 20)]),
      image('kept', [file('/d/blobs/kept', 5)]),
    ]
    const sheds = [shed('dev', { status: 'running', image: 'kept' })]
    const freed = plan({ sheds, images }).steps.map(({ item }) => item.freed.physical_bytes)
    expect(freed).toEqual([110, 20])
  })

  test('share what an image in use holds, and so free only the rest', () => {
    const images = [image('a', [shared, file('/d/blobs/a', 10)]), image('kept', [shared])]
    const sheds = [shed('dev', { status: 'running', image: 'kept' })]
    expect(plan({ sheds, images }).steps.map(({ item }) => item.freed.physical_bytes)).toEqual([10])
  })

  test('stay all of them while a shed cannot be read: it may need any', () => {
    const sheds = [shed('odd', { status: 'broken' })]
    const { steps, skipped } = plan({ sheds, images: [image('a'), image('b')] }, { scope: ['images'] })
    expect(steps).toEqual([])
    expect(skipped.map(({ reason }) => reason)).toEqual(['used by odd', 'used by odd'])
  })
})

test('an orphan that may be in the making is kept', () => {
  const orphans = [
    { ...file('/d/blobs/sha256/x', 7), modifiedAt: now.getTime() - 3 * 3600e3, why: 'no image has this blob' },
    { ...file('/d/staging/load-1/y', 8), modifiedAt: now.getTime() - 60e3, why: 'left in staging' },
  ]
  const { steps, skipped } = plan({ orphans })
  expect(steps.map(({ item }) => [item.path, item.reason])).toEqual([['/d/blobs/sha256/x', 'no image has this blob']])
  expect(skipped).toEqual([
    { kind: 'orphan', path: '/d/staging/load-1/y', reason: 'too recent (1m < 1h): it may be in the making' },
  ])
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

function plan(given: Partial<Inventory>, query: Partial<PruneQuery> = {}) {
  const empty = { images: [], sheds: [], layers: [], kernels: [], templates: [], own: [], orphans: [], foreign: [] }
  const full: PruneQuery = { dry_run: true, until_ms: 72 * 3600e3, log_tail_bytes: 5 * 2 ** 20, ...query }
  return planPrune({ takenAt: now, ...empty, ...given }, full, layout)
}

function shed(
  name: string,
  { image: of, ...rest }: Partial<Omit<Shed, 'image'>> & { image?: string },
  files: DiskFile[] = [file(layout.shed(name).upper, 1000)],
) {
  const made: Shed = {
    name,
    id: '0123456789ab',
    status: 'stopped',
    image: { ref: of ?? 'none', manifest_digest: of === undefined ? digestOf('none') : manifestOf(of) },
    cpus: 1,
    memory_bytes: 1,
    upper_bytes: 1,
    network: 'user',
    env: {},
    labels: {},
    created_at: hours(1000),
    changed_at: hours(1000),
    backend: 'qemu',
    forwards: [],
    ...rest,
  }
  return { shed: made, files }
}

function image(name: string, files: DiskFile[] = [file(`/d/blobs/${name}`, 10)]): ImageHolding {
  const digest = digestOf(`index of ${name}`)
  const manifests = [{ digest: manifestOf(name), diffIds: [] }]
  return { entry: { digest, tags: [`${name}:latest`], blobs: [digest], manifests }, files, layers: [] }
}

function manifestOf(name: string): Digest {
  return digestOf(`manifest of ${name}`)
}

function file(path: string, bytes: number): DiskFile {
  return { path, size: { logical_bytes: bytes, physical_bytes: bytes }, modifiedAt: now.getTime() }
}
