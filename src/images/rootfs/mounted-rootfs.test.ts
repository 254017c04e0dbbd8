import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { expectedOf } from '../../../test/support/erofs-mount.ts'
import { fsckExt4, withMountedExt4, withoutLostAndFound } from '../../../test/support/ext4-mount.ts'
import { buildLayer } from '../../../test/support/image-builder.ts'
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
async function expectSame(layers: readonly (readonly TarMember[])[]): Promise<boolean> {
  const tree = naiveTree(layers.map((members) => members.map(entryOf)))
  if (tree === undefined) return false
  await using dir = await temporaryDirectory()
  const image = await buildRootfsHere(dir.path, layers)
  await fsckExt4(image)
  const expected = expectedOf(tree, () => Buffer.alloc(0))
  await withMountedExt4(image, (mounted) => expect(withoutLostAndFound(mounted)).toEqual(expected))
  return true
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
