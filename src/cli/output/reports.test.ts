import { expect, test } from 'vitest'
import type { PruneReport, UsageReport } from '../../contract/index.ts'
import { imageTable } from './image-table.ts'
import { pruneOutcome, prunePlan } from './prune-report.ts'
import { sortUsage, usageOrders } from './sort-usage.ts'
import { usageBar } from './usage-bar.ts'
import { usageExplained } from './usage-explained.ts'
import { usageGrowthReport } from './usage-growth.ts'
import { usageDetails, usageRollup } from './usage-report.ts'

const size = (logical: number, physical: number) => ({ logical_bytes: logical, physical_bytes: physical })
const own = (exclusive: number, shared: number) => ({ exclusive_bytes: exclusive, shared_bytes: shared })
const alone = (exclusive: number) => ({ exclusive_bytes: exclusive })

const usage: UsageReport = {
  server_name: 'prod',
  backend: 'qemu',
  generated_at: '2026-04-21T13:36:15.123Z',
  accuracy: 'exact',
  union_bytes: 6.4e9,
  filesystem: {
    total_bytes: 100e9,
    used_bytes: 10e9,
    free_bytes: 85e9,
    metadata_bytes: 0.2e9,
    other_bytes: 2.8e9,
    reserved_bytes: 0.6e9,
  },
  images: [
    {
      name: 'base',
      path: '/d/base.erofs',
      docker_ref: 'debian:12',
      size: size(20e9, 3.2e9),
      ...own(0.1e9, 3.1e9),
      shared_with: [{ kind: 'image', name: 'app:1' }],
      files: [{ path: '/d/base.erofs', size: size(20e9, 3.2e9), kind: 'lower', ...alone(0) }],
    },
  ],
  sheds: [
    {
      name: 'web',
      status: 'running',
      image: 'debian:12',
      rootfs: { path: '/d/sheds/web/upper.ext4', size: size(20e9, 3e9), kind: 'upper', ...alone(2e9) },
      other_files: [],
      ...own(2e9, 1e9),
      shared_with: [{ kind: 'template', name: 'upper.ext4' }],
      total: size(20e9, 3e9),
    },
  ],
  snapshots: [
    {
      name: 'clean',
      shed: 'web',
      status: 'whole',
      disk: { path: '/d/snapshots/clean/upper.ext4', size: size(20e9, 1e9), kind: 'snapshot', ...alone(0) },
      volumes: [],
      other_files: [],
      ...own(0, 1e9),
      shared_with: [{ kind: 'shed', name: 'web' }],
      total: size(20e9, 1e9),
    },
  ],
  volumes: [
    {
      name: 'data',
      status: 'attached',
      protected: true,
      disk: { path: '/d/volumes/data/data.ext4', size: size(10e9, 1e9), kind: 'volume', ...alone(1e9) },
      other_files: [],
      ...own(1e9, 0),
      shared_with: [],
      total: size(10e9, 1e9),
    },
  ],
  kernel: { path: '/d/vmlinuz', size: size(14_200_000, 14_200_000), kind: 'kernel', ...alone(14_200_000) },
  caches: [],
  orphans: [{ path: '/d/x.tmp', size: size(0, 0), kind: 'tmp', ...alone(0) }],
  deleted: [],
  totals: {
    images: { ...size(20.1e9, 3.3e9), ...own(0.2e9, 3.1e9), files: 3 },
    sheds: { ...size(40e9, 6.3e9), ...own(3e9, 3.1e9), files: 5, stopped: 0, running: 2 },
    snapshots: { ...size(20e9, 1e9), ...own(0, 1e9), files: 2 },
    volumes: { ...size(10e9, 1e9), ...own(1e9, 0), files: 2 },
    caches: { ...size(0, 0), ...own(0, 0), files: 0 },
    orphans: { ...size(0, 0), ...own(0, 0), files: 1 },
    all: { ...size(60.1e9, 9.6e9), ...own(6.3e9, 0.1e9), files: 9 },
  },
  notes: ['physical bytes may overcount shared extents'],
}

test('df is a line for each category', () => {
  expect(usageRollup(usage)).toBe(`SERVER: prod  BACKEND: qemu
GENERATED: 2026-04-21T13:36:15Z

CATEGORY                  FILES  LOGICAL  PHYSICAL  EXCLUSIVE    SHARED
images                        3  20.1 GB    3.3 GB   200.0 MB    3.1 GB
sheds (0 stopped, 2 run)      5  40.0 GB    6.3 GB     3.0 GB    3.1 GB
snapshots                     2  20.0 GB    1.0 GB        0 B    1.0 GB
volumes                       2  10.0 GB    1.0 GB     1.0 GB       0 B
caches                        0      0 B       0 B        0 B       0 B
orphans                       1      0 B       0 B        0 B       0 B
TOTAL                         9  60.1 GB    9.6 GB     6.3 GB  100.0 MB

ON DISK:     6.4 GB, each byte once (exact)
METADATA:    200.0 MB
RESERVED:    600.0 MB, given back by a prune
OTHERS:      2.8 GB
FILESYSTEM:  10.0 GB used, 85.0 GB free

Note: physical bytes may overcount shared extents
`)
})

test('df -v adds a row for each image, shed and file, and no empty sections', () => {
  expect(usageDetails(usage)).toBe(`
IMAGES
NAME       PATH           LOGICAL  PHYSICAL  EXCLUSIVE  SHARED
debian:12  /d/base.erofs  20.0 GB    3.2 GB   100.0 MB  3.1 GB
  lower    /d/base.erofs  20.0 GB    3.2 GB        0 B

SHEDS
NAME  STATUS   IMAGE      ROOTFS                   LOGICAL  PHYSICAL  EXCLUSIVE  SHARED  SHARED WITH
web   running  debian:12  /d/sheds/web/upper.ext4  20.0 GB    3.0 GB     2.0 GB  1.0 GB  upper.ext4

SNAPSHOTS
NAME   STATUS  SHED  PATH                           LOGICAL  PHYSICAL  EXCLUSIVE  SHARED  SHARED WITH
clean  whole   web   /d/snapshots/clean/upper.ext4  20.0 GB    1.0 GB        0 B  1.0 GB  web

VOLUMES
NAME  STATUS               PATH                       LOGICAL  PHYSICAL  EXCLUSIVE  SHARED  SHARED WITH
data  attached, protected  /d/volumes/data/data.ext4  10.0 GB    1.0 GB     1.0 GB     0 B

KERNEL
KIND    PATH        LOGICAL  PHYSICAL  EXCLUSIVE
kernel  /d/vmlinuz  14.2 MB   14.2 MB    14.2 MB

ORPHANS
KIND  PATH      LOGICAL  PHYSICAL  EXCLUSIVE
tmp   /d/x.tmp      0 B       0 B        0 B
`)
})

const plan: PruneReport = {
  plan_id: 'p1',
  dry_run: true,
  server_name: 'prod',
  scope: ['images', 'instances', 'orphans'],
  until: '72h',
  items: [
    { kind: 'image', name: 'base', path: '/d/base.erofs', action: 'remove', freed: size(20e9, 1.9e9) },
    { kind: 'image', name: 'experimental', path: '/d/experimental.erofs', action: 'remove', freed: size(20e9, 3.2e9) },
    { kind: 'orphan', path: '/d/x.tmp', action: 'remove', freed: size(4096, 4096) },
  ],
  skipped: [
    { kind: 'instance', name: 'api-dev', reason: 'cannot prune running shed' },
    { kind: 'instance', name: 'api-test', reason: 'too recent (3h < 72h)' },
    { kind: 'lock', path: '/d/foo.lock', reason: 'lock file retained (inode-reuse race safety)' },
  ],
  notes: [],
  totals: { freed: size(40e9, 5.1e9), items: 3, predicted_bytes: 5.1e9 },
}

test('where there are only bounds, no number stands for what it may be', () => {
  const bounds = { ...usage.totals.sheds, exclusive_bytes_max: 5e9 }
  expect(usageRollup({ ...usage, totals: { ...usage.totals, sheds: bounds } })).toContain('≥ 3.0 GB')
})

test('the bar fills its width, and nothing that is there is left out of it', () => {
  expect(usageBar(usage, 20)).toBe(`█▓▒░░░░░░░░░░░░░░░░░
█ used 4.2 GB  ▓ shared 2.2 GB  ▒ others 3.6 GB  ░ free 85.0 GB
`)
})

test('what a clone shares, and what is its own since', () => {
  const explained = { kind: 'shed', name: 'fork', accuracy: 'exact' as const, size: size(5e9, 4e9), ...own(1e9, 3e9) }
  const shares = [
    { kind: 'shed', name: 'web', bytes: 3e9 },
    { kind: 'template', name: 'upper.ext4', bytes: 1e6 },
  ]
  expect(
    usageExplained({ ...explained, shares }),
  ).toBe(`shed fork: 4.0 GB on disk, 1.0 GB of it (25 %) its own, 3.0 GB shared

SHARED WITH  KIND       BYTES  OF IT
web          shed      3.0 GB   75 %
upper.ext4   template  1.0 MB    0 %
`)
})

test('what is shared is never one number where there are only bounds', () => {
  const bounds = { kind: 'shed', name: 'web', bytes: 1e9, bytes_max: 70e9 }
  const explained = { kind: 'shed', name: 'fork', accuracy: 'bounds' as const, size: size(20e9, 4e9) }
  expect(usageExplained({ ...explained, ...own(0, 4e9), exclusive_bytes_max: 1e9, shares: [bounds] })).toMatch(
    / ≥ 0 B of it .*\nweb +shed +≥ 1\.0 GB +≥ 25 %\n$/s,
  )
})

test('rows stand in the order that was asked for', () => {
  const [shed] = usage.sheds
  if (shed === undefined) throw new Error('there is a shed')
  const small = { ...shed, name: 'a', ...own(1, 9e9), total: size(1, 9e9), last_used_at: '2026-01-01T00:00:00Z' }
  const large = { ...shed, name: 'b', ...own(5, 0), total: size(5, 5), last_used_at: '2025-01-01T00:00:00Z' }
  const names = (order: (typeof usageOrders)[number]) =>
    sortUsage({ ...usage, sheds: [small, large] }, order).sheds.map(({ name }) => name)
  expect(usageOrders.map(names)).toEqual([
    ['a', 'b'],
    ['b', 'a'],
    ['a', 'b'],
    ['b', 'a'],
  ])
})

test('a prune shows what would go, what would not and why, and the sum', () => {
  expect(prunePlan(plan)).toBe(`SERVER: prod (dry-run)  --until 72h  scope=images+instances+orphans

IMAGES (2, 40.0 GB)
NAME          PATH                   LOGICAL  PHYSICAL
base          /d/base.erofs          20.0 GB    1.9 GB
experimental  /d/experimental.erofs  20.0 GB    3.2 GB

ORPHANS (1, 4.1 kB)
PATH      LOGICAL  PHYSICAL
/d/x.tmp   4.1 kB    4.1 kB

SKIPPED (3)
KIND      NAME/PATH    REASON
instance  api-dev      cannot prune running shed
instance  api-test     too recent (3h < 72h)
lock      /d/foo.lock  lock file retained (inode-reuse race safety)

TOTAL TO FREE: 40.0 GB logical / 5.1 GB physical (3 items)
`)
})

test('a column with nothing in it is left out', () => {
  const item = { kind: 'instance', name: 'web', action: 'remove', freed: size(4096, 4096) } as const
  expect(prunePlan({ ...plan, items: [item] })).toContain(
    'INSTANCES (1, 4.1 kB)\nNAME  LOGICAL  PHYSICAL\nweb    4.1 kB',
  )
})

test('what frees nothing alone says who shares it; what is given back comes first', () => {
  const items = [
    { kind: 'reservation', path: '/d', action: 'release', freed: size(0, 3e9), marginal_bytes: 3e9 },
    {
      kind: 'instance',
      name: 'a',
      action: 'remove',
      freed: size(9e9, 2e9),
      marginal_bytes: 0,
      shared_with: [{ kind: 'shed', name: 'b' }],
    },
    { kind: 'instance', name: 'b', action: 'remove', freed: size(9e9, 2e9), marginal_bytes: 2e9 },
  ] as const
  const text = prunePlan({
    ...plan,
    skipped: [],
    items: items.map((item) => ({ ...item, shared_with: [...('shared_with' in item ? item.shared_with : [])] })),
  })
  expect(text).toContain(`RESERVATIONS, GIVEN BACK (1, 0 B)
PATH  LOGICAL  PHYSICAL   FREES`)
  expect(text).toContain(`INSTANCES (2, 18.0 GB)
NAME  LOGICAL  PHYSICAL   FREES  SHARED WITH
a      9.0 GB    2.0 GB     0 B  b
b      9.0 GB    2.0 GB  2.0 GB
`)
})

test('after it, what was freed, and what was measured', () => {
  const done = { ...plan, dry_run: false, skipped: [], totals: { ...plan.totals, reclaimed_bytes: 4.9e9 } }
  expect(pruneOutcome(done)).toBe(
    'FREED: 40.0 GB logical / 5.1 GB physical (3 items); 5.1 GB predicted, 4.9 GB reclaimed on the filesystem\n',
  )
})

test('an image that many sheds use stays a row', () => {
  const image = { tags: ['a:1'], digest: `sha256:${'0'.repeat(64)}`, media_type: 'm', layers: 1, size_bytes: 1 }
  expect(imageTable([{ ...image, used_by: ['a', 'b', 'c'] }])).toMatch(/ a b c\n$/)
  expect(imageTable([{ ...image, used_by: ['a', 'b', 'c', 'd', 'e'] }])).toMatch(/ a b c and 2 more\n$/)
})

test('names that a guest or an image made up cannot play with the terminal', () => {
  const hostile = { ...usage, images: usage.images.map((image) => ({ ...image, docker_ref: 'a\u001b[31m\nb' })) }
  expect(usageDetails(hostile)).toContain('a\\x1b[31m\\x0ab')
})

test('growth is a row for each change, with what it comes to', () => {
  const text = usageGrowthReport({
    server_name: 'here',
    generated_at: '2026-01-08T00:00:00.000Z',
    since: '2026-01-01T00:00:00.123Z',
    accuracy: 'exact',
    union_bytes: { before: 40e9, after: 44.5e9 },
    changes: [
      {
        kind: 'shed',
        name: 'web',
        change: 'grown',
        exclusive_bytes: { before: 1e9, after: 6e9 },
        physical_bytes: { before: 2e9, after: 7e9 },
      },
      {
        kind: 'image',
        name: 'debian:12',
        change: 'gone',
        exclusive_bytes: { before: 0.5e9, after: 0 },
        physical_bytes: { before: 0.5e9, after: 0 },
      },
    ],
    unchanged: 3,
  })
  expect(text).toBe(`SERVER: here  SINCE: 2026-01-01T00:00:00Z

CHANGE  KIND   NAME       EXCLUSIVE             PHYSICAL
grown   shed   web           6.0 GB    +5.0 GB    7.0 GB    +5.0 GB
gone    image  debian:12        0 B  −500.0 MB       0 B  −500.0 MB
3 unchanged

ON DISK: 40.0 GB then, 44.5 GB now (+4.5 GB), each byte once
`)
})
