import { execFileSync } from 'node:child_process'
import { link, mkdir, open, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { PruneQuery, UsageReport } from '../../src/contract/index.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { onEachFilesystem } from '../support/filesystems.ts'
import { needs } from '../support/needs.ts'
import { noise } from '../support/noise.ts'
import { openRoomsOn } from '../support/open-rooms.ts'
import { reflink } from '../support/reflink.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const able = needs({ tools: ['mke2fs', 'find', ...busyboxImageTools] })
const query: PruneQuery = { dry_run: true, until_ms: 0, log_tail_bytes: 0 }
const longAgo = new Date(Date.now() - 1000 * 3600e3)

describe.runIf(able)('df and prune on a data directory with everything in it', () => {
  test('df adds up to what find says, to the byte: every file once, whatever number of names it has', async () => {
    await using dir = await temporaryDirectory()
    await using rooms = await openRoomsOn(dir.path)
    const { layout } = rooms
    await rooms.loadMini()
    await rooms.loadMini('mini:2')
    for (const name of ['a', 'b', 'c']) await rooms.create(name)
    await writeFile(layout.shed('a').console, 'x'.repeat(10_000))
    await link(layout.shed('a').console, layout.shed('b').console)
    await writeFile(layout.shed('c').record, 'torn')
    await orphan(join(layout.staging, 'load-1', 'file'), 5000)
    await orphan(layout.failureConsole('x', '0123456789ab'), 5000)
    await orphan(`${layout.blobs}/sha256/${'0'.repeat(64)}`, 9000)

    const report = await rooms.usage.df()
    const { images, sheds, caches, orphans, all } = report.totals
    expect(report.notes.join()).not.toContain("not cowshed's")
    expect(all).toMatchObject(sizesByFind(layout.root))
    expect(images.physical_bytes + sheds.physical_bytes + caches.physical_bytes + orphans.physical_bytes).toBe(
      all.physical_bytes,
    )
    expect(orphans.files).toBe(3)
    const rows = [
      ...report.caches,
      ...(report.kernel ? [report.kernel] : []),
      ...(report.initrd ? [report.initrd] : []),
    ]
    expect(rows.reduce((sum, { size }) => sum + size.physical_bytes, 0)).toBe(caches.physical_bytes)

    await writeFile(join(layout.root, 'notes.txt'), 'mine')
    const after = await rooms.usage.df()
    expect(after.totals).toEqual(report.totals)
    expect(after.notes.join()).toContain(join(layout.root, 'notes.txt'))
  })

  test('df says when what is made from images was last used: by a shed that is made, and by a build', async () => {
    await using dir = await temporaryDirectory()
    await using rooms = await openRoomsOn(dir.path)
    await rooms.loadMini()
    await rooms.create('a')
    const { caches } = await rooms.usage.df()
    const derived = caches.filter((file) => file.last_used_at !== undefined)
    // In which form a lower is built is the filesystem's choice.
    const kinds = derived.map(({ kind }) => kind)
    expect(kinds).toContain('layer index')
    expect(kinds.filter((kind) => kind.startsWith('lower'))).toHaveLength(1)
    for (const { path } of derived) await utimes(path, longAgo, longAgo)

    await rooms.create('b')
    const used = (await rooms.usage.df()).caches.filter((file) => Date.parse(file.last_used_at ?? '') > +longAgo + 1000)
    // What a shed reads from: a lower of one file, or in parts with the data of its layers; never an index.
    expect(used.map(({ kind }) => kind)).not.toContain('layer index')
    const lower = used.find(({ kind }) => kind.startsWith('lower'))
    expect(lower).toBeDefined()

    await rm(lower?.path ?? '')
    await rooms.create('c')
    const all = (await rooms.usage.df()).caches.filter((file) => Date.parse(file.last_used_at ?? '') > +longAgo + 1000)
    expect(all).toHaveLength(derived.length)
  })

  test('what has changed since a look is told thing by thing; before the first look nobody knows', async () => {
    await using dir = await temporaryDirectory()
    await using rooms = await openRoomsOn(dir.path)
    const { usage, sheds, layout } = rooms
    await expect(usage.growth(7 * 24 * 3600e3)).rejects.toMatchObject({ code: 'USAGE_NOT_SAMPLED' })
    await rooms.loadMini()
    for (const name of ['stays', 'grows', 'goes']) await rooms.create(name)
    const before = await usage.df()
    await expect(usage.growth(7 * 24 * 3600e3)).rejects.toMatchObject({
      code: 'USAGE_NOT_SAMPLED',
      message: expect.stringMatching(/^nobody had looked at the disk 7d|168h ago: the first sample is of /),
      hint: expect.stringMatching(/--since \d+s$/),
    })
    await writeFile(layout.shed('grows').console, noise(300_000, 'grows'))
    await sheds.remove('goes', { force: false })
    await rooms.create('comes')
    const growth = await usage.growth(0)
    const changes = growth.changes.filter(({ kind }) => kind === 'shed')
    expect(new Map(changes.map(({ name, change }) => [name, change]))).toEqual(
      new Map([
        ['grows', 'grown'],
        ['goes', 'gone'],
        ['comes', 'new'],
      ]),
    )
    const [largest] = changes
    expect(largest).toMatchObject({ name: 'grows' })
    expect((largest?.physical_bytes.after ?? 0) - (largest?.physical_bytes.before ?? 0)).toBeGreaterThan(299_000)
    expect([growth.since, growth.union_bytes.before]).toEqual([before.generated_at, before.union_bytes])
    expect(growth.unchanged).toBeGreaterThan(0)
  })

  test('a shed that has changed since the plan stays, with its image; what has got another tag stays', async () => {
    await using dir = await temporaryDirectory()
    await using rooms = await openRoomsOn(dir.path)
    await rooms.loadMini()
    await rooms.create('a')
    await rooms.create('b')
    const plan = await rooms.usage.prune(query)
    expect(plan.items.map(({ name }) => name)).toEqual(['a', 'b', 'mini:1'])
    await rooms.sheds.reset('a')
    const done = await rooms.usage.prune({ ...query, dry_run: false, plan_id: plan.plan_id })
    expect(done.items.map(({ name }) => name)).toEqual(['b'])
    expect(done.skipped.map(({ name, reason }) => [name, reason])).toEqual([
      ['a', expect.stringContaining('has changed since the plan')],
      ['mini:1', expect.stringContaining('used by a')],
    ])
    expect((await rooms.sheds.list()).map(({ name }) => name)).toEqual(['a'])

    await rooms.sheds.remove('a', { force: false })
    const second = await rooms.usage.prune(query)
    expect(second.items.map(({ name }) => name)).toEqual(['mini:1'])
    await rooms.images.tag('mini:1', 'kept:1')
    const refused = await rooms.usage.prune({ ...query, dry_run: false, plan_id: second.plan_id })
    expect([refused.items, refused.skipped]).toEqual([
      [],
      [expect.objectContaining({ reason: expect.stringContaining('tags') })],
    ])
    expect((await rooms.images.list()).flatMap(({ tags }) => tags).sort()).toEqual(['kept:1', 'mini:1'])
    await expect(rooms.usage.prune({ ...query, plan_id: 'another' })).rejects.toMatchObject({ code: 'PLAN_CHANGED' })
  })

  test('an orphan that an image has come to need, or may need, is kept; one that was written to as well', async () => {
    await using dir = await temporaryDirectory()
    await using rooms = await openRoomsOn(dir.path)
    const { layout } = rooms
    await rooms.loadMini()
    const index = layout.imageIndex
    const whole = execFileSync('cat', [index])
    await writeFile(index, JSON.stringify({ schemaVersion: 2, manifests: [] }))
    execFileSync('find', [
      layout.blobs,
      layout.cache,
      '-type',
      'f',
      '-exec',
      'touch',
      '-d',
      longAgo.toISOString(),
      '{}',
      '+',
    ])
    const touched = await orphan(join(layout.staging, 'load-1', 'old'), 10)
    const plan = await rooms.usage.prune({ ...query, scope: ['orphans'] })
    expect(plan.items.length).toBeGreaterThan(5)

    await writeFile(index, whole)
    await writeFile(touched, 'more')
    const done = await rooms.usage.prune({ ...query, dry_run: false, plan_id: plan.plan_id })
    expect(done.items).toEqual([])
    expect(new Set(done.skipped.map(({ reason }) => reason))).toEqual(new Set(['it is no orphan any more']))
    await rooms.create('works')

    await writeFile(index, JSON.stringify({ schemaVersion: 2, manifests: [] }))
    await rm(touched)
    // Its image is in no index any more; the shed needs it all the same.
    const pinned = await rooms.usage.prune({ ...query, scope: ['orphans'] })
    const kept = await rooms.usage.prune({ ...query, dry_run: false, plan_id: pinned.plan_id })
    expect(kept.items).toEqual([])
    // Nothing can be sure of what a shed with a torn record needs: neither the plan, nor its execution when the record is torn between.
    await writeFile(layout.shed('works').record, 'torn')
    const torn = await rooms.usage.prune({ ...query, dry_run: false, plan_id: pinned.plan_id })
    expect(torn.items).toEqual([])
    expect(torn.skipped.map(({ reason }) => reason).join()).toContain('the shed works is broken')
    expect((await rooms.usage.prune({ ...query, scope: ['orphans'] })).items).toEqual([])
    await rm(index)
    await expect(rooms.usage.prune(query)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  })

  test('the cache goes by budget, the longest unused first, and comes back when a shed needs it', async () => {
    await using dir = await temporaryDirectory()
    await using rooms = await openRoomsOn(dir.path)
    const { layout } = rooms
    await rooms.loadMini()
    await rooms.create('a')
    const before = await treeOf(layout)
    for (const { kind, path } of (await rooms.usage.df()).caches) {
      if (kind.startsWith('lower')) await utimes(path, new Date(), new Date(Date.now() - 60_000))
    }
    const scoped: PruneQuery = { dry_run: true, log_tail_bytes: 0, scope: ['cache'] }

    const all = await rooms.usage.prune(scoped)
    const [first, ...others] = all.items
    expect([first?.kind, first?.name, others.length]).toEqual(['cache', 'lower of mini:1', 3])
    for (const { name } of others) expect(name).toMatch(/^layer [0-9a-f]{12} of mini:1$/)
    expect(all.totals.predicted_bytes).toBe(all.items.reduce((sum, item) => sum + (item.marginal_bytes ?? 0), 0))
    const used = all.totals.predicted_bytes
    const old = await rooms.usage.prune({ ...scoped, until_ms: 30_000 })
    expect(old.items.map(({ name }) => name)).toEqual(['lower of mini:1'])
    const budget: PruneQuery = { dry_run: true, log_tail_bytes: 0, max_used_bytes: used - 1 }
    const one = await rooms.usage.prune(budget)
    expect([one.scope, one.items.map(({ name }) => name)]).toEqual([['cache'], ['lower of mini:1']])
    expect((await rooms.usage.prune({ ...budget, max_used_bytes: used })).items).toEqual([])
    const everything = await rooms.usage.prune({ ...budget, keep_free_bytes: Number.MAX_SAFE_INTEGER })
    expect([everything.items.length, everything.notes[0]]).toEqual([4, expect.stringContaining('the budget lacks')])
    expect(await treeOf(layout)).toEqual(before)

    // Somebody needs it between the look and the deed.
    await rooms.create('b')
    const refused = await rooms.usage.prune({ ...scoped, dry_run: false, plan_id: one.plan_id })
    expect([refused.items, refused.skipped.at(-1)?.reason]).toEqual([[], 'it has been used since the plan was made'])
    expect(await treeOf(layout)).toEqual(before)

    const done = await rooms.usage.prune({ ...scoped, dry_run: false })
    expect(done.items).toHaveLength(4)
    expect((await treeOf(layout)).filter(([path]) => path.startsWith('cache/'))).toEqual([])
    await rooms.create('c')
    expect(await treeOf(layout)).toEqual(before)

    // What an image takes along is not evicted as well.
    for (const name of ['a', 'b', 'c']) await rooms.sheds.remove(name, { force: false })
    const both = await rooms.usage.prune({ ...scoped, scope: ['images', 'cache'] })
    expect(both.items.map(({ kind, name }) => [kind, name])).toEqual([['image', 'mini:1']])
    // Nobody knows what a shed with a torn record has open.
    await rooms.create('d')
    await writeFile(layout.shed('d').record, 'torn')
    const torn = await rooms.usage.prune(scoped)
    expect([torn.items, torn.skipped.map(({ reason }) => reason).join()]).toEqual([
      [],
      expect.stringContaining('nothing is evicted: the shed d is broken'),
    ])
  })

  test('what a long load finished long ago is not an orphan while the load goes on', async () => {
    await using dir = await temporaryDirectory()
    await using rooms = await openRoomsOn(dir.path)
    await orphan(join(rooms.layout.staging, 'load-1', 'blob'), 10)
    await orphan(join(rooms.layout.staging, 'load-2', 'blob'), 10)
    await writeFile(join(rooms.layout.staging, 'load-1', 'other'), 'new')
    const { items } = await rooms.usage.prune({ ...query, scope: ['orphans'] })
    expect(items.map(({ path }) => path)).toEqual([join(rooms.layout.staging, 'load-2', 'blob')])
  })
})

if (able) {
  onEachFilesystem(['xfs', 'btrfs'], (fs) => {
    test('what df says is a shed’s own is what goes with it; who shares the rest is named', async () => {
      await using rooms = await openRoomsOn(fs.path('cowshed'))
      const { layout } = rooms
      await rooms.loadMini()
      await rooms.create('a')
      await rooms.create('b')
      await writeInto(layout.shed('a').upper, 8 << 20)
      const before = await rooms.usage.df()
      const [a, b] = before.sheds
      expect(before.accuracy).toBe('exact')
      expect(a?.exclusive_bytes).toBeGreaterThanOrEqual(8 << 20)
      expect(a?.exclusive_bytes).toBeLessThan((8 << 20) + (256 << 10))
      expect(b?.exclusive_bytes).toBeLessThan(256 << 10)
      expect(b?.shared_with.map(({ kind }) => kind)).toEqual(['template', 'shed'])
      expect(before.union_bytes).toBeLessThan(before.totals.all.physical_bytes)
      expect(await rooms.usage.df()).toMatchObject({ union_bytes: before.union_bytes, totals: before.totals })

      const explained = await rooms.usage.explain('a')
      expect(explained).toMatchObject({
        kind: 'shed',
        exclusive_bytes: a?.exclusive_bytes,
        shared_bytes: a?.shared_bytes,
      })
      expect(explained.shares.map(({ name }) => name).sort()).toEqual(['b', basename(layout.upperTemplate(64 << 20))])
      expect(await rooms.usage.explain('mini:1')).toMatchObject({ kind: 'image', accuracy: 'exact' })
      await expect(rooms.usage.explain('nobody')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })

      await rooms.sheds.remove('a', { force: false })
      const after = await rooms.usage.df()
      // What the daemon noted meanwhile is its own.
      const others = (report: typeof before) => report.union_bytes - ownBytes(report)
      expect(others(before) - others(after)).toBe(a?.exclusive_bytes)
    })

    test('what a prune predicts is what the filesystem gets back; rows that share say so', async () => {
      await using rooms = await openRoomsOn(fs.path('cowshed'))
      const { layout } = rooms
      await rooms.loadMini()
      for (const name of ['a', 'b', 'c']) await rooms.create(name)
      await writeInto(layout.shed('a').upper, 8 << 20)
      await rm(layout.shed('b').upper)
      reflink(layout.shed('a').upper, layout.shed('b').upper)
      await writeInto(layout.shed('b').upper, 1 << 20)
      await writeInto(layout.shed('c').upper, 2 << 20)
      const before = await rooms.usage.df()
      const tree = everythingIn(layout.root)
      const plan = await rooms.usage.prune(query)
      // A dry run changes nothing, not even a time.
      expect(everythingIn(layout.root)).toBe(tree)
      const gains = plan.items.filter(({ kind }) => kind !== 'reservation').map((item) => item.marginal_bytes ?? -1)
      expect(plan.totals.predicted_bytes).toBe(plan.items.reduce((sum, item) => sum + (item.marginal_bytes ?? 0), 0))
      // Seven of the eight MiB go with the second of the two that share them.
      expect(gains[0]).toBeLessThan(fs.name === 'btrfs' ? 1 << 20 : 2 << 20)
      expect(gains[1]).toBeGreaterThan(7 << 20)
      expect(plan.totals.predicted_bytes).toBeLessThan(plan.totals.freed.physical_bytes)

      const done = await rooms.usage.prune({ ...query, dry_run: false, plan_id: plan.plan_id })
      expect(done.totals.predicted_bytes).toBe(plan.totals.predicted_bytes)
      // The daemon notes what it has done.
      const noted = ownBytes(await rooms.usage.df()) - ownBytes(before)
      const off = (done.totals.reclaimed_bytes ?? 0) + noted - done.totals.predicted_bytes
      if (fs.name === 'btrfs') expect(off).toBe(0)
      else expect(Math.abs(off)).toBeLessThan(512 << 10)
    })

    test('what frees nothing alone names who shares it', async () => {
      await using rooms = await openRoomsOn(fs.path('cowshed'))
      const { layout } = rooms
      await mkdir(join(layout.staging, 'old'), { recursive: true })
      const [one, two] = [join(layout.staging, 'old/one'), join(layout.staging, 'old/two')]
      await writeFile(one, noise(4 << 20, 7))
      reflink(one, two)
      for (const path of [one, two]) await utimes(path, longAgo, longAgo)
      const { items, totals } = await rooms.usage.prune({ ...query, scope: ['orphans'] })
      expect(items.map(({ marginal_bytes }) => marginal_bytes)).toEqual([0, 4 << 20])
      expect(items.map(({ shared_with }) => shared_with)).toEqual([
        [{ kind: 'orphan', name: items[1]?.path }],
        [{ kind: 'orphan', name: items[0]?.path }],
      ])
      expect(totals.predicted_bytes).toBe(4 << 20)
    })

    test('a file that was deleted and is still open is on the books', async () => {
      await using rooms = await openRoomsOn(fs.path('cowshed'))
      const path = rooms.layout.failureConsole('gone', '0123456789ab')
      await mkdir(join(path, '..'), { recursive: true })
      await using file = await open(path, 'wx+')
      await file.write(Buffer.alloc(3 << 20, 'x'))
      await rm(path)
      const { deleted, union_bytes } = await rooms.usage.df()
      expect(deleted).toMatchObject([{ path, exclusive_bytes: 3 << 20 }])
      expect(union_bytes).toBeGreaterThanOrEqual(3 << 20)
    })
  })

  onEachFilesystem(['ext4', 'xfs', 'btrfs'], (fs) => {
    test('what a prune reclaimed is what the filesystem has got back', async () => {
      await using rooms = await openRoomsOn(fs.path('cowshed'))
      const { layout } = rooms
      await mkdir(join(layout.staging, 'old'), { recursive: true })
      const { path, allocated } = await fs.file({ size: '32MiB', name: 'cowshed/data/staging/old/file' })
      await utimes(path, longAgo, longAgo)
      const report = await rooms.usage.prune({ ...query, dry_run: false, scope: ['orphans'] })
      expect(report.totals.predicted_bytes).toBe(allocated)
      const reclaimed = report.totals.reclaimed_bytes ?? 0
      expect(Math.abs(reclaimed - allocated)).toBeLessThan(2 << 20)
    })
  })
}

async function orphan(path: string, bytes: number): Promise<string> {
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, 'x'.repeat(bytes))
  await utimes(path, longAgo, longAgo)
  expect((await stat(path)).size).toBe(bytes)
  return path
}

/** Every blob and derived file with the digest of its bytes. */
async function treeOf(layout: { readonly root: string }) {
  const command = 'find blobs cache -type f -exec sha256sum {} + | sort -k2'
  const lines = execFileSync('sh', ['-c', command], { cwd: layout.root, encoding: 'utf8' }).trim().split('\n')
  return lines.map((line) => [line.slice(66), line.slice(0, 64)] as const)
}

function everythingIn(root: string): string {
  return execFileSync('find', [root, '-printf', '%p %i %s %T@ %C@\\n'], { encoding: 'utf8' })
    .split('\n')
    .sort()
    .join('\n')
}

function ownBytes({ caches }: UsageReport): number {
  const own = caches.filter(({ kind }) => kind === 'daemon')
  return own.reduce((sum, { exclusive_bytes: bytes }) => sum + bytes, 0)
}

async function writeInto(path: string, bytes: number): Promise<void> {
  await using file = await open(path, 'r+')
  await file.write(noise(bytes, path), 0, bytes, 16 << 20)
}

/** Sums of find(1): each inode once. */
function sizesByFind(root: string) {
  const lines = execFileSync('find', [root, '-type', 'f', '-printf', '%D:%i %s %b\\n'], { encoding: 'utf8' })
  const files = [...new Set(lines.trim().split('\n'))].map((line) => line.split(' ').map(Number))
  return {
    files: files.length,
    logical_bytes: files.reduce((sum, [, size = 0]) => sum + size, 0),
    physical_bytes: files.reduce((sum, [, , blocks = 0]) => sum + blocks * 512, 0),
  }
}
