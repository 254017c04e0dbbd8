import { mkdir, mkdtemp, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Digest, parseDigest } from '../../src/base/index.ts'
import type { PruneQuery, PruneReport } from '../../src/contract/index.ts'
import { measureSpace, settleFilesystem } from '../../src/host/index.ts'
import { toolsFor } from '../support/filesystems.ts'
import { buildImage, buildLayer, ociArchive } from '../support/image-builder.ts'
import { makeLazyCache } from '../support/lazy-cache.ts'
import { type FilesystemType, type Mounted, mountFresh } from '../support/mount-filesystem.ts'
import { needs } from '../support/needs.ts'
import { noise } from '../support/noise.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'

const MiB = 2 ** 20
const layer = (name: string, bytes: number) => buildLayer([{ path: name, content: noise(bytes, name) }])
const shared = layer('shared', 6 * MiB)
const base = buildImage({ layers: [shared] })
const app = buildImage({ layers: [shared, layer('app', 3 * MiB)] })

interface Ground {
  readonly name: string
  readonly type: FilesystemType
  readonly options?: readonly string[]
  /** Bytes by which the prediction may be off: the filesystem's own lists, where they are counted with the rest. */
  readonly slack: number
}

const grounds: readonly Ground[] = [
  { name: 'btrfs', type: 'btrfs', slack: 0 },
  { name: 'btrfs, compressed', type: 'btrfs', options: ['compress=zstd:1'], slack: 0 },
  { name: 'xfs', type: 'xfs', slack: 256 * 1024 },
  { name: 'ext4', type: 'ext4', slack: 256 * 1024 },
]

for (const { name, type, options, slack } of grounds) {
  const reflinks = type !== 'ext4'

  describe.runIf(needs({ root: true, tools: toolsFor(type) }))(
    `an eviction on ${name} frees what its plan says`,
    () => {
      let mounted: Mounted
      beforeAll(async () => {
        mounted = await mountFresh(type, 400 * MiB, options)
      })
      afterAll(() => mounted[Symbol.asyncDispose]())
      const query: PruneQuery = { dry_run: true, log_tail_bytes: 0, scope: ['cache'] }

      test.each<{ oldest: string[]; wanted: number | undefined }>([
        { oldest: ['lower of base:1'], wanted: 1 },
        { oldest: ['layer', 'lower of base:1'], wanted: 7 * MiB },
        { oldest: [], wanted: undefined },
      ])('oldest: $oldest, wanted: $wanted', async ({ oldest, wanted }) => {
        await using rooms = await freshRooms(mounted)
        for (const [at, prefix] of oldest.entries()) await age(rooms, prefix, oldest.length - at)
        const used = (await rooms.usage.prune(query)).totals.predicted_bytes
        // A layer is on disk once where its lowers share it, and two or three times where they cannot.
        expect(used).toBeGreaterThanOrEqual((reflinks ? 1 : 2) * 9 * MiB)
        expect(used).toBeLessThan((reflinks ? 1.1 : 3) * 9 * MiB)

        const asked = wanted === undefined ? query : { ...query, max_used_bytes: used - wanted }
        const { plan, freed } = await evict(rooms, asked)

        expect(Math.abs(freed - plan.totals.predicted_bytes)).toBeLessThanOrEqual(slack)
        expect(plan.totals.predicted_bytes).toBeGreaterThanOrEqual(wanted ?? used)
        if (wanted === undefined) expect(await readdir(rooms.layout.layers)).toEqual([])
        // The one lower is enough, where its bytes are its own. Where they are not, it goes only with the layer that has them.
        const names = plan.items.map((item) => item.name)
        if (wanted === 1 && !reflinks) expect(names).toEqual(['lower of base:1'])
        if (wanted === 1 && reflinks) expect(names.filter((one) => one?.startsWith('layer'))).not.toEqual([])
      })

      test('what is partly here of an image goes first when it is the longest unused', async () => {
        await using rooms = await freshRooms(mounted)
        const used = (await rooms.usage.prune(query)).totals.predicted_bytes
        // Runs of zeros are holes.
        const data = Buffer.concat([noise(3 * MiB, 'half'), Buffer.alloc(2 * MiB), noise(2 * MiB, 'rest')])
        const manifest = parseDigest(app.root.digest)
        await makeLazyCache(rooms.layout, { manifest, reference: 'half:1', data, usedAt: new Date(0) })
        settleFilesystem(rooms.layout.root)
        const { plan, freed } = await evict(rooms, { ...query, max_used_bytes: used + MiB })
        expect(plan.items.map(({ kind, name }) => [kind, name])).toEqual([['lazy', 'half:1']])
        expect(Math.abs(freed - plan.totals.predicted_bytes)).toBeLessThanOrEqual(slack)
        expect(plan.totals.predicted_bytes).toBeGreaterThanOrEqual(5 * MiB)
        expect(await readdir(rooms.layout.lazyLowers)).toEqual([])
      })

      test('what frees next to nothing stays', async () => {
        await using rooms = await freshRooms(mounted)
        await age(rooms, 'layer', 10)
        // Only the layers have not been used for long enough. Lowers that stay have their bytes.
        const { plan, freed } = await evict(rooms, { ...query, until_ms: 3600e3 })
        expect(Math.abs(freed - plan.totals.predicted_bytes)).toBeLessThanOrEqual(slack)
        if (reflinks) expect([plan.items, plan.totals.predicted_bytes]).toEqual([[], 0])
        else expect(plan.totals.predicted_bytes).toBeGreaterThanOrEqual(9 * MiB)
      })
    },
  )
}

/** All rooms on a directory of their own, with both images and their lowers. */
async function freshRooms({ directory }: Mounted): Promise<OpenedRooms> {
  const own = await mkdtemp(join(directory, 'cowshed-'))
  // One file for a lower everywhere, so that there is the same to evict.
  await mkdir(join(own, 'data'))
  await writeFile(join(own, 'data/config.toml'), '[images]\nlower_profile = "plain"\nlower_form = "whole"\n')
  const rooms = await openRoomsOn(own)
  await loadBoth(rooms)
  return rooms
}

async function loadBoth({ images }: OpenedRooms): Promise<void> {
  const tagged = [
    { image: base, ref: 'base:1' },
    { image: app, ref: 'app:1' },
  ]
  const archive = ociArchive(tagged)
  await images.load({
    source: {
      stream: (async function* () {
        yield archive
      })(),
    },
  })
  for (const { image } of tagged) {
    using _hold = images.hold(image.root.digest as Digest)
    await images.ensureLower(parseDigest(image.root.digest))
  }
}

/** Makes what the cache has under names that begin so the longest unused but for what is aged by more. */
async function age({ images }: OpenedRooms, prefix: string, hours: number): Promise<void> {
  const [kind = '', , image] = prefix.split(' ')
  const at = new Date(Date.now() - (hours + 1) * 3600e3)
  for (const entry of await images.cache()) {
    if (entry.kind !== kind || (image !== undefined && !entry.images.includes(image))) continue
    for (const { path } of entry.files) await utimes(path, at, at).catch(() => {})
  }
}

/** @returns what was said, and by how much less the filesystem says that is used, but for what the daemon wrote about it meanwhile */
async function evict(rooms: OpenedRooms, query: PruneQuery): Promise<{ plan: PruneReport; freed: number }> {
  // The first look of an hour is kept as a sample, which takes space itself.
  await rooms.usage.df()
  const plan = await rooms.usage.prune(query)
  const [ownBefore, before] = [await ownBytes(rooms), usedBytes(rooms)]
  const done = await rooms.usage.prune({ ...query, dry_run: false, plan_id: plan.plan_id })
  expect(done.items).toEqual(plan.items)
  return { plan, freed: before - usedBytes(rooms) + (await ownBytes(rooms)) - ownBefore }
}

function usedBytes({ layout }: OpenedRooms): number {
  settleFilesystem(layout.root)
  const { usedBytes: used, dataBytes = used } = measureSpace(layout.root)
  return dataBytes
}

/** What the daemon has for itself: the index, with the event of an eviction. */
async function ownBytes({ usage }: OpenedRooms): Promise<number> {
  const { caches } = await usage.df()
  return caches.filter(({ kind }) => kind === 'daemon').reduce((sum, { exclusive_bytes: bytes }) => sum + bytes, 0)
}
