import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { onEachFilesystem, toolsFor, withSmallFilesystem } from '../../../test/support/filesystems.ts'
import { buildLayer, noise } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { dataLayout, digestOf } from '../../base/index.ts'
import { allocation } from '../../host/index.ts'
import { ensureLower, findLower } from './ensure-lower.ts'
import { plainWhole } from './lower-kind.ts'
import { lowerUuid } from './lower-uuid.ts'
import { buildLowerHere, largeLayer, someManifest, storeLayers } from './lowers.testkit.ts'

const run = promisify(execFile)
const MiB = 2 ** 20
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
