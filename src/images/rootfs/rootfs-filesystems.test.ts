import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fsckExt4, withMountedExt4 } from '../../../test/support/ext4-mount.ts'
import { btrfsExtents, usedBytes } from '../../../test/support/filesystem-usage.ts'
import { onEachFilesystem } from '../../../test/support/filesystems.ts'
import { buildLayer, noise } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { dataLayout } from '../../base/index.ts'
import { allocation, runTool } from '../../host/index.ts'
import { testFullDisks } from '../lowers/full-disk.testkit.ts'
import { largeLayer, someManifest, storeLayers } from '../lowers/lowers.testkit.ts'
import { ensureRootfs } from './ensure-rootfs.ts'
import { findRootfs } from './find-rootfs.ts'

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

testFullDisks({ what: 'the root filesystem', layers, ensure: ensureRootfs, find: findRootfs })

test.runIf(needs({ root: true, tools: ['mount', 'e2fsck'] }))(
  'a file that is a hole reads as zeros in the guest',
  async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(join(dir.path, 'data'))
    const stored = await storeLayers(dir.path, layers)
    const { path } = await ensureRootfs({ layout, manifest: someManifest, layers: stored })
    await withMountedExt4(path, async (mounted) => {
      const { stdout } = await runTool('cmp', ['-n', `${40 * MiB}`, join(mounted, 'hole'), '/dev/zero'])
      expect(stdout.toString()).toBe('')
    })
  },
)

function hashOf(path: string): string {
  const hash = createHash('sha256')
  const chunk = Buffer.alloc(MiB)
  const fd = openSync(path, 'r')
  for (let bytes = readSync(fd, chunk); bytes > 0; bytes = readSync(fd, chunk)) hash.update(chunk.subarray(0, bytes))
  closeSync(fd)
  return hash.digest('hex')
}
