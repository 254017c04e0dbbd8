import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { mkdir, readdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { fsckExt4, withMountedExt4 } from '../../../test/support/ext4-mount.ts'
import { onEachFilesystem, toolsFor, withSmallFilesystem } from '../../../test/support/filesystems.ts'
import { buildLayer, noise } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { dataLayout } from '../../base/index.ts'
import { allocation } from '../../host/index.ts'
import { largeLayer, someManifest, storeLayers } from '../lowers/lowers.testkit.ts'
import { ensureRootfs } from './ensure-rootfs.ts'
import { findRootfs } from './find-rootfs.ts'

const run = promisify(execFile)
const MiB = 2 ** 20
const hole = { path: 'hole', sparse: { form: '1.0' as const, realSize: 40 * MiB, segments: [] } }
const layers = [largeLayer(), buildLayer([{ path: 'small', content: noise(100_000) }, { path: '.wh.nothing' }, hole])]

onEachFilesystem(['btrfs', 'xfs', 'ext4'], (fs) => {
  test(`a root filesystem on ${fs.name} is the same, and shares what it can with the layers`, async () => {
    await using dir = await temporaryDirectory()
    const stored = await storeLayers(dir.path, layers)
    const reference = await ensureRootfs({
      ...{ layout: dataLayout(join(dir.path, 'data')), manifest: someManifest, layers: stored },
    })
    const layout = dataLayout(fs.path('data'))
    await mkdir(layout.root)
    const before = await usedBytes(fs.directory)

    const rootfs = await ensureRootfs({ layout, manifest: someManifest, layers: stored })

    expect(hashOf(rootfs.path)).toBe(hashOf(reference.path))
    await fsckExt4(rootfs.path)
    const added = (await usedBytes(fs.directory)) - before
    const copies = fs.reflinks ? 1 : 2
    expect(added).toBeGreaterThan(copies * 24 * MiB)
    expect(added).toBeLessThan(copies * 24 * MiB + 8 * MiB)
    // The data of its files, and not the 40 MiB of a hole or the 16 MiB of its journal.
    const { physicalBytes } = await allocation(rootfs.path)
    expect(physicalBytes).toBeGreaterThan(24 * MiB)
    expect(physicalBytes).toBeLessThan(32 * MiB)
    if (fs.name === 'btrfs') expect(Math.max(...(await btrfsExtents(fs.directory)))).toBeLessThanOrEqual(MiB)
  })
})

describe.runIf(needs({ root: true, tools: toolsFor('ext4') }))('a disk that is full', () => {
  for (const [when, sizeMiB] of [
    ['while a layer is unpacked', 20],
    ['while the root filesystem is put together', 45],
  ] as const) {
    test(`${when} leaves nothing half made`, async () => {
      await using dir = await temporaryDirectory()
      const stored = await storeLayers(dir.path, layers)
      await withSmallFilesystem('ext4', sizeMiB * MiB, async (directory) => {
        const layout = dataLayout(join(directory, 'data'))
        await mkdir(layout.root)
        await expect(ensureRootfs({ layout, manifest: someManifest, layers: stored })).rejects.toMatchObject({
          code: 'NO_SPACE',
        })
        expect(await readdir(layout.staging)).toEqual([])
        expect(findRootfs(layout, someManifest)).toBeUndefined()
      })
    })
  }
})

test.runIf(needs({ root: true, tools: ['mount', 'e2fsck'] }))(
  'a file that is a hole reads as zeros in the guest',
  async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(join(dir.path, 'data'))
    const stored = await storeLayers(dir.path, layers)
    const { path } = await ensureRootfs({ layout, manifest: someManifest, layers: stored })
    await withMountedExt4(path, async (mounted) => {
      const { stdout } = await run('cmp', ['-n', `${40 * MiB}`, join(mounted, 'hole'), '/dev/zero'])
      expect(stdout).toBe('')
    })
  },
)

async function usedBytes(directory: string): Promise<number> {
  await run('sync', ['-f', directory])
  const { blocks, bfree, bsize } = await statfs(directory)
  return (blocks - bfree) * bsize
}

function hashOf(path: string): string {
  const hash = createHash('sha256')
  const chunk = Buffer.alloc(MiB)
  const fd = openSync(path, 'r')
  for (let bytes = readSync(fd, chunk); bytes > 0; bytes = readSync(fd, chunk)) hash.update(chunk.subarray(0, bytes))
  closeSync(fd)
  return hash.digest('hex')
}

/** Lengths of the extents of all files: what btrfs frees only as a whole. */
async function btrfsExtents(directory: string): Promise<number[]> {
  const { stdout: device } = await run('findmnt', ['-no', 'SOURCE', directory])
  const { stdout } = await run('btrfs', ['inspect-internal', 'dump-tree', '-t', 'fs', device.trim()], {
    maxBuffer: 64 * MiB,
  })
  return [...stdout.matchAll(/extent data disk byte \d+ nr (\d+)/g)].map((match) => Number(match[1]))
}
