import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { expectedOf } from '../../../test/support/erofs-mount.ts'
import { fsckExt4, withMountedExt4, withoutLostAndFound } from '../../../test/support/ext4-mount.ts'
import { buildLayer, noise } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import type { TarMember } from '../../../test/support/tar-builder.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { naiveTree } from '../flatten/naive-layers.testkit.ts'
import { everyCase, images } from '../lowers/every-case.testkit.ts'
import { entryOf, someManifest, storeLayers } from '../lowers/lowers.testkit.ts'
import { writeLayerFiles } from '../lowers/write-layer-files.ts'
import { rootfsIdentity } from './rootfs-identity.ts'
import { writeRootfs } from './write-rootfs.ts'

describe.runIf(needs({ root: true, tools: ['mount', 'e2fsck'] }))(
  'the kernel sees in a root filesystem what the rules say',
  () => {
    test('of an image with every case', async () => {
      await expectSame(everyCase)
    })

    test('of sparse files, whose holes take no blocks of it', async () => {
      const segments = [
        { offset: 2 << 20, bytes: noise(10_000, 'first') },
        { offset: 6 << 20, bytes: noise(5000, 'second') },
      ]
      const mode = 0o644
      const holes: TarMember[] = [
        { path: 'sparse', mode, sparse: { form: '1.0', realSize: 8 << 20, segments } },
        { path: 'nothing', mode, sparse: { form: '1.0', realSize: 3 << 20, segments: [] } },
        // Many runs: more than an inode has room for.
        { path: 'striped', mode, content: Buffer.concat(Array.from({ length: 9 }, (_, at) => stripe(at))) },
        { path: 'full', mode, content: noise(200_000, 'full') },
      ]
      const allocated = (mounted: string) =>
        Object.fromEntries(holes.map(({ path }) => [path, statSync(`${mounted}/${path}`).blocks / 8]))
      let blocks = {}
      await expectSame([holes], (mounted) => {
        blocks = allocated(mounted)
      })
      // 10,000 and 5,000 bytes; nine stripes of one block, and one for the tree of extents.
      expect(blocks).toEqual({ sparse: 3 + 2, nothing: 0, striped: 9 + 1, full: 49 })
    })

    test('of an image without anything', async () => {
      await expectSame([[]])
    })

    test('of generated images', { timeout: 60_000 }, async () => {
      let mounted = 0
      for (const image of fc.sample(images, { numRuns: 15, seed: 21 })) if (await expectSame(image)) mounted++
      expect(mounted).toBeGreaterThan(5)
    })
  },
)

/** @returns whether the rules accept the image at all */
async function expectSame(
  layers: readonly (readonly TarMember[])[],
  look: (mounted: string) => void = () => {},
): Promise<boolean> {
  const tree = naiveTree(layers.map((members) => members.map(entryOf)))
  if (tree === undefined) return false
  await using dir = await temporaryDirectory()
  const image = await buildRootfsHere(dir.path, layers)
  await fsckExt4(image)
  const expected = expectedOf(tree, () => Buffer.alloc(0))
  await withMountedExt4(image, (mounted) => {
    expect(withoutLostAndFound(mounted)).toEqual(expected)
    look(mounted)
  })
  return true
}

/** A block that has something, and 64 KiB that have not. */
function stripe(at: number): Buffer {
  return Buffer.concat([noise(4096, `${at}`), Buffer.alloc(64 * 1024)])
}

/** What ensureRootfs does, without threads, cache and data directory, and the parts put in place by plain reads and writes. */
async function buildRootfsHere(directory: string, layers: readonly (readonly TarMember[])[]): Promise<string> {
  const stored = await storeLayers(
    directory,
    layers.map((members) => buildLayer(members)),
  )
  const cached = []
  for (const [number, { diffId, path }] of stored.entries()) {
    const files = { dataPath: join(directory, `${number}.data`), indexPath: join(directory, `${number}.index`) }
    await writeLayerFiles({ blobPath: path, diffId, ...files })
    cached.push({ diffId, ...files })
  }
  const to = join(directory, 'rootfs.ext4')
  const { parts } = writeRootfs({ layers: cached, ...rootfsIdentity(someManifest), to })
  const target = openSync(to, 'r+')
  for (const { path, offset, length, at } of parts) {
    const source = openSync(path, 'r')
    const bytes = Buffer.alloc(length)
    expect(readSync(source, bytes, 0, length, offset)).toBe(length)
    writeSync(target, bytes, 0, length, at)
    closeSync(source)
  }
  closeSync(target)
  return to
}
