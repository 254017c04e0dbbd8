import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  expectedOf,
  fsckErofs,
  snapshotOfDirectory,
  withMountedErofs,
  withSpare,
} from '../../../test/support/erofs-mount.ts'
import { needs } from '../../../test/support/needs.ts'
import { bytesIn, type GeneratedTree, generatedTrees, imageOf } from './generated-tree.testkit.ts'
import { tortureTree } from './torture-tree.testkit.ts'

const here = needs({ root: true, tools: ['mount', 'fsck.erofs'] })
let directory = ''
beforeAll(() => {
  directory = mkdtempSync(`${tmpdir()}/cowshed-mounted-images-`)
})
afterAll(() => rmSync(directory, { recursive: true }))

test.runIf(here)('the kernel shows generated trees as they are, and fsck.erofs finds nothing wrong', async () => {
  await fc.assert(fc.asyncProperty(generatedTrees, compareMounted), { numRuns: 40 })
})

test.runIf(here)('the kernel shows the torture tree as it is', async () => {
  await compareMounted(tortureTree())
})

test.runIf(here)('fsck.erofs, as it is called here, does notice a damaged image', async () => {
  const image = imageOf(tortureTree())
  image.writeUInt8(image.readUInt8(2000) ^ 1, 2000)
  writeFileSync(`${directory}/damaged`, image)
  await expect(fsckErofs(`${directory}/damaged`)).rejects.toThrow()
})

async function compareMounted(tree: GeneratedTree): Promise<void> {
  const image = `${directory}/image`
  writeFileSync(image, withSpare(imageOf(tree)))
  await fsckErofs(image)
  const found = await withMountedErofs(image, snapshotOfDirectory)
  expect(found).toEqual(expectedOf(tree.root, bytesIn(tree.blob)))
}
