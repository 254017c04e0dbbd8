import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectedOf } from '../../../test/support/erofs-mount.ts'
import { fsckExt4, withMountedExt4, withoutLostAndFound } from '../../../test/support/ext4-mount.ts'
import { needs } from '../../../test/support/needs.ts'
import { bytesIn, type GeneratedTree, generatedTrees } from '../erofs/generated-tree.testkit.ts'
import { tortureTree } from '../erofs/torture-tree.testkit.ts'
import type { DirectoryNode } from '../erofs/tree.ts'
import { growInFile, storableTree, treeWithOneFile, writeExt4 } from './ext4-image.testkit.ts'

const here = needs({ root: true, tools: ['mount', 'e2fsck', 'resize2fs', 'dumpe2fs'] })
const run = promisify(execFile)
const [MiB, GiB] = [2 ** 20, 2 ** 30]
let directory = ''
beforeAll(() => {
  directory = mkdtempSync(`${tmpdir()}/cowshed-mounted-ext4-`)
})
afterAll(() => rmSync(directory, { recursive: true }))

describe.runIf(here)('the kernel and e2fsck', { timeout: 120_000 }, () => {
  test('show generated trees as they are, and find nothing wrong', async () => {
    await fc.assert(fc.asyncProperty(generatedTrees, compareMounted), { numRuns: 25 })
  })

  test('show the torture tree as it is', async () => {
    await compareMounted(tortureTree())
  })

  test('notice a damaged image, as they are called here', async () => {
    const image = await tortureImage('damaged')
    const bytes = readFileSync(image)
    const at = bytes.indexOf('sorted-around-the-dots')
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
    writeFileSync(image, bytes)
    await expect(fsckExt4(image)).rejects.toThrow(/checksum/)
  })

  test('take the trees of extents of a very large file', async () => {
    for (const bytes of [3 * GiB, 200 * GiB]) {
      const image = `${directory}/large`
      writeExt4(image, treeWithOneFile(bytes))
      await fsckExt4(image)
      await withMountedExt4(image, (mounted) => expect(statSync(`${mounted}/large`).size).toBe(bytes))
      expect(statSync(image).blocks * 512).toBeLessThan(bytes / 1000)
    }
  })

  test('take every size that it is made to have', async () => {
    const { root, blob } = torture()
    for (const bytes of [200 * MiB, 256 * MiB + 40 * 4096, 5 * GiB, 9 * GiB + 4096]) {
      const image = await tortureImage('grown')
      growInFile(image, bytes)
      await fsckExt4(image)
      expect(statSync(image).size).toBe(bytes)
      await withMountedExt4(image, (mounted) => {
        // Growing adds groups; what is in the file already is looked at once, behind the most of them.
        if (bytes > 9 * GiB) expect(withoutLostAndFound(mounted)).toEqual(expectedOf(root, bytesIn(blob)))
        const { bsize, blocks } = statfsSync(mounted)
        expect(bsize * blocks).toBeGreaterThan(bytes * 0.8)
      })
    }
  })

  test('write to it, and it is still clean; then resize2fs makes it larger', async () => {
    const image = await tortureImage('written')
    growInFile(image, 700 * MiB)
    await withMountedExt4(
      image,
      (mounted) => {
        for (let file = 0; file < 3000; file++) writeFileSync(`${mounted}/many-files/new-${file}`, `${file}`)
        writeFileSync(`${mounted}/lost+found/large`, Buffer.alloc(200 * MiB, 7))
        rmSync(`${mounted}/many-directories`, { recursive: true })
      },
      'rw',
    )
    await fsckExt4(image)
    // Nothing was wrong, so all that it does now is to make trees of extents smaller, where there is any to be made: then it ends with 1.
    await run('e2fsck', ['-fp', image]).catch((error: { readonly code?: unknown }) => expect(error.code).toBe(1))
    await run('resize2fs', [image, '12G'])
    await fsckExt4(image)
    await withMountedExt4(image, (mounted) => {
      expect(statSync(`${mounted}/lost+found/large`).size).toBe(200 * MiB)
      expect(readFileSync(`${mounted}/many-files/new-2999`, 'utf8')).toBe('2999')
    })
  })

  test('need to zero no inode table after the first mount', async () => {
    const image = await tortureImage('zeroed')
    growInFile(image, GiB)
    const groups = (await run('dumpe2fs', [image])).stdout.match(/^Group \d+:.*$/gm) ?? []
    expect(groups).toHaveLength(8)
    expect(groups.filter((group) => !group.includes('ITABLE_ZEROED'))).toEqual([])
  })
})

async function compareMounted({ root, blob }: GeneratedTree): Promise<void> {
  const image = `${directory}/image`
  const tree = { root: storableTree(root), blob }
  writeExt4(image, tree)
  await fsckExt4(image)
  await withMountedExt4(image, (mounted) =>
    expect(withoutLostAndFound(mounted)).toEqual(expectedOf(tree.root, bytesIn(blob))),
  )
}

/** A copy of the torture tree as an image. It is written once: the same tree is the same bytes. */
async function tortureImage(name: string): Promise<string> {
  const [written, image] = [`${directory}/torture`, `${directory}/${name}`]
  if (!existsSync(written)) writeExt4(written, torture())
  await run('cp', ['--sparse=always', written, image])
  return image
}

function torture(): { root: DirectoryNode; blob: Buffer } {
  const { root, blob } = tortureTree()
  return { root: storableTree(root), blob }
}
