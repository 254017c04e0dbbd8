import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  onEachFilesystem,
  type TestFilesystem,
  toolsFor,
  withSmallFilesystem,
} from '../../../test/support/filesystems.ts'
import { buildLayer, noise } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { type Digest, dataLayout, digestOf, type Progress, shortDigest } from '../../base/index.ts'
import { allocation } from '../../host/index.ts'
import { ensureLower, findLower } from './ensure-lower.ts'
import { plainWhole } from './lower-kind.ts'
import { lowerUuid } from './lower-uuid.ts'
import { buildLowerHere, largeLayer, someManifest, storeLayers } from './lowers.testkit.ts'

const run = promisify(execFile)
const MiB = 2 ** 20
const secondManifest = digestOf('second')
const layers = [largeLayer(), buildLayer([{ path: 'small', content: noise(100_000) }, { path: '.wh.nothing' }])]

onEachFilesystem(['btrfs', 'xfs', 'ext4'], (fs) => {
  test(`a lower on ${fs.name} is the same, and shares what it can with the layers`, async () => {
    await using dir = await temporaryDirectory()
    const stored = await storeLayers(dir.path, layers)
    const reference = await buildLowerHere(dir.path, stored, lowerUuid(plainWhole, someManifest))
    const layout = dataLayout(fs.path('data'))
    await mkdir(layout.root)
    const before = await usedBytes(fs.directory)

    const lower = await ensureLower({ layout, manifest: someManifest, layers: stored })

    expect(digestOf(await readFile(lower.path))).toBe(digestOf(await readFile(reference.path)))
    const added = (await usedBytes(fs.directory)) - before
    const copies = fs.reflinks ? 1 : 2
    expect(added).toBeGreaterThan(copies * 24 * MiB)
    expect(added).toBeLessThan(copies * 24 * MiB + 8 * MiB)
    expect((await allocation(lower.path)).physicalBytes).toBeGreaterThan(24 * MiB)
    if (fs.name === 'btrfs') expect(Math.max(...(await btrfsExtents(fs.directory)))).toBeLessThanOrEqual(MiB)
  })
})

onEachFilesystem(['btrfs', 'xfs'], (fs) => {
  test(`a second image on ${fs.name} adds its own layer and its bootstrap`, { timeout: 120_000 }, async () => {
    await using dir = await temporaryDirectory()
    const kind = plainWhole
    const [shared, other] = await storeLayers(dir.path, [
      largeLayer(),
      buildLayer([{ path: 'new', content: noise(3 * MiB, 'n') }]),
    ])
    if (shared === undefined || other === undefined) throw new Error('two layers were stored')
    const layout = dataLayout(fs.path('data'))
    await mkdir(layout.root)
    const heard: string[] = []
    const onProgress = ({ phase, item, done }: Progress) => phase === 'unpack' && done === 0 && heard.push(item ?? '')
    await ensureLower({ layout, manifest: someManifest, layers: [shared], kind })
    const before = await dataBytes(fs)

    const second = await ensureLower({ layout, manifest: secondManifest, layers: [shared, other], kind, onProgress })

    expect(heard).toEqual([shortDigest(other.diffId)])
    const dataOf = async (diffId: Digest) => (await stat(layout.layerData(diffId))).size
    const newData = await dataOf(other.diffId)
    const bootstrap = second.bytes - newData - (await dataOf(shared.diffId))
    const added = (await dataBytes(fs)) - before
    // btrfs keeps small files, the index and the map, among its metadata; of xfs only the sum of both is to be had.
    if (fs.name === 'btrfs') expect(added).toBe(newData + bootstrap)
    else expect(Math.abs(added - newData - bootstrap)).toBeLessThan(MiB / 4)
    if (fs.name === 'btrfs') expect(Math.max(...(await btrfsExtents(fs.directory)))).toBeLessThanOrEqual(MiB)
  })
})

describe.runIf(needs({ root: true, tools: toolsFor('ext4') }))('a disk that is full', () => {
  for (const [when, sizeMiB] of [
    ['while a layer is unpacked', 20],
    ['while the lower is put together', 45],
  ] as const) {
    test(`${when} leaves nothing half made`, async () => {
      await using dir = await temporaryDirectory()
      const stored = await storeLayers(dir.path, layers)
      await withSmallFilesystem('ext4', sizeMiB * MiB, async (directory) => {
        const layout = dataLayout(join(directory, 'data'))
        await mkdir(layout.root)
        await expect(ensureLower({ layout, manifest: someManifest, layers: stored })).rejects.toMatchObject({
          code: 'NO_SPACE',
        })
        expect(await readdir(layout.staging)).toEqual([])
        expect(findLower(layout, someManifest)).toBeUndefined()
      })
    })
  }
})

/** Bytes of data on a filesystem: on btrfs those that extents take, to the byte. */
async function dataBytes({ name, directory }: TestFilesystem): Promise<number> {
  if (name !== 'btrfs') return await usedBytes(directory)
  // Extents that were let go of are given back with the commit of the next transaction.
  await run('btrfs', ['filesystem', 'sync', directory])
  await run('btrfs', ['filesystem', 'sync', directory])
  const { stdout: uuid } = await run('findmnt', ['-no', 'UUID', directory])
  return Number(await readFile(`/sys/fs/btrfs/${uuid.trim()}/allocation/data/bytes_used`, 'utf8'))
}

async function usedBytes(directory: string): Promise<number> {
  await run('sync', ['-f', directory])
  const { blocks, bfree, bsize } = await statfs(directory)
  return (blocks - bfree) * bsize
}

/** Lengths of the extents of all files: what btrfs frees only as a whole. */
async function btrfsExtents(directory: string): Promise<number[]> {
  const { stdout: device } = await run('findmnt', ['-no', 'SOURCE', directory])
  const { stdout } = await run('btrfs', ['inspect-internal', 'dump-tree', '-t', 'fs', device.trim()], {
    maxBuffer: 64 * MiB,
  })
  return [...stdout.matchAll(/extent data disk byte \d+ nr (\d+)/g)].map((match) => Number(match[1]))
}
