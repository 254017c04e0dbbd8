import { closeSync, openSync, readSync, statSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  expectedOf,
  fsckErofs,
  snapshotOfDirectory,
  type TreeSnapshot,
  withMountedErofs,
} from '../../../test/support/erofs-mount.ts'
import { buildLayer } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import type { TarMember } from '../../../test/support/tar-builder.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { type LowerProfile, lowerProfiles } from '../../base/index.ts'
import { type DirectoryNode, ErofsReader } from '../../formats/index.ts'
import { naiveTree } from '../flatten/naive-layers.testkit.ts'
import { everyCase, images } from './every-case.testkit.ts'
import { buildLowerHere, entryOf, storeLayers } from './lowers.testkit.ts'

const canMount = needs({ root: true, tools: ['fsck.erofs'] })

describe.runIf(canMount)('the kernel sees in a lower what the rules say', () => {
  test.each(lowerProfiles)('of an image with every case, in the profile %s', async (profile) => {
    await expectSame(everyCase, profile)
  })

  test('of an image without anything', async () => {
    await expectSame([[]])
  })

  test('of generated images', async () => {
    let mounted = 0
    for (const [number, image] of fc.sample(images, { numRuns: 40, seed: 20 }).entries())
      if (await expectSame(image, lowerProfiles[number % lowerProfiles.length])) mounted++
    expect(mounted).toBeGreaterThan(10)
  })
})

/** @returns whether the rules accept the image at all */
async function expectSame(
  layers: readonly (readonly TarMember[])[],
  profile: LowerProfile = 'plain',
): Promise<boolean> {
  const tree = naiveTree(layers.map((members) => members.map(entryOf)))
  if (tree === undefined) return false
  const expected = expectedOf(tree, () => Buffer.alloc(0))
  await using dir = await temporaryDirectory()
  const stored = await storeLayers(
    dir.path,
    layers.map((members) => buildLayer(members)),
  )
  const { path } = await buildLowerHere(dir.path, stored, Buffer.alloc(16, 7), profile)
  await withMountedErofs(path, (directory) => expect(snapshotOfDirectory(directory)).toEqual(expected))
  await fsckErofs(path)
  expect(snapshotOfReader(path)).toEqual(expected)
  return true
}

function snapshotOfReader(path: string): TreeSnapshot {
  const fd = openSync(path, 'r')
  try {
    const reader = ErofsReader.open((offset, length) => {
      const bytes = Buffer.alloc(length)
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset))
    }, statSync(path).size)
    reader.verify()
    const root: DirectoryNode = reader.tree()
    return expectedOf(root, ({ data, size }) => {
      const bytes = Buffer.alloc(size)
      if (data.kind === 'blocks') readSync(fd, bytes, 0, size, data.startBlock * 4096)
      return bytes
    })
  } finally {
    closeSync(fd)
  }
}
