import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  expectedOf,
  fsckErofs,
  snapshotOfDirectory,
  withMountedErofs,
  withSpare,
} from '../../../test/support/erofs-mount.ts'
import { needs } from '../../../test/support/needs.ts'
import { isProblem } from '../../base/index.ts'
import {
  type ClusterBlocks,
  clusterSizes,
  compressedImageOf,
  compressTree,
  cutAll,
  mixedContents,
  treeOfContents,
} from './compressed-tree.testkit.ts'
import { ErofsReader } from './erofs-reader.ts'
import { bytesIn, type GeneratedTree, generatedTrees, imageOf, uuid } from './generated-tree.testkit.ts'
import { dataLayout } from './inode-core.ts'
import { layoutBootstrap } from './layout-bootstrap.ts'
import { sealFirstBlock } from './superblock.ts'
import { tortureTree } from './torture-tree.testkit.ts'
import { blockSize, type CompressedData } from './tree.ts'

const clusterBlocks = fc.constantFrom(...clusterSizes)

describe('extents', () => {
  test('hold the content, in fewer blocks where there is anything to gain', () => {
    fc.assert(
      fc.property(mixedContents, clusterBlocks, (content, size) => {
        const image = compressedImageOf(treeOfContents([content]), size)
        const reader = open(image)
        reader.verify()
        const file = reader.lookup('file-0')
        if (file === undefined) throw new Error('no such file')
        expect(reader.readFile(file).equals(content)).toBe(true)
      }),
    )
  })

  test('keep to what kernels rely on', () => {
    fc.assert(
      fc.property(mixedContents, clusterBlocks, (content, size) => {
        const clusters: Buffer[] = []
        let position = 0
        for (const [number, { length, blocks, raw }] of cutAll(content, size, clusters).entries()) {
          const isLast = position + length === content.length
          expect(isLast || length >= blockSize).toBe(true)
          expect(blocks).toBeLessThanOrEqual(raw ? 1 : size)
          if (blocks > 1) expect((position % blockSize) + length).toBeGreaterThanOrEqual(2 * blockSize)
          if (!raw) {
            const first = clusters[number]?.findIndex((byte) => byte !== 0) ?? -1
            expect(first >= 0 && first < blockSize).toBe(true)
            expect(length).toBeGreaterThan(blocks * blockSize)
          }
          position += length
        }
      }),
    )
  })

  test('that break those rules are refused', () => {
    const refused: [Partial<CompressedData>, RegExp][] = [
      [{ extents: [{ length: 8191, blocks: 1, raw: false }] }, /8191 of its 8192/],
      [{ extents: [{ length: 8192, blocks: 2, raw: true }] }, /not in one block/],
      [{ extents: [100, 8092].map((length) => ({ length, blocks: 1, raw: false })) }, /shorter than a block/],
      [{ extents: [{ length: 8192, blocks: 17, raw: false }] }, /cluster of 17 blocks/],
      [{ blocks: 3, extents: [{ length: 8192, blocks: 1, raw: false }] }, /1 blocks, not 3/],
      [
        { blocks: 3, extents: [4097, 4095].map((length, i) => ({ length, blocks: i + 1, raw: false })) },
        /no place for/,
      ],
      [{ startBlock: 9, blocks: 1, extents: [{ length: 8192, blocks: 1, raw: false }] }, /no such blocks/],
    ]
    for (const [wrong, message] of refused) {
      const { root } = treeOfContents([Buffer.alloc(8192)])
      const [file] = root.children.values()
      if (file?.kind !== 'file') throw new Error('no file')
      const data: CompressedData = { kind: 'compressed', blob: 0, startBlock: 0, blocks: 1, extents: [], ...wrong }
      root.children.set('file-0', { ...file, data })
      expect(() => layoutBootstrap(root, { uuid, blobBlocks: [3], clusterBlocks: 16 })).toThrow(message)
    }
  })
})

describe.runIf(needs({ root: true, tools: ['mount', 'fsck.erofs'] }))('the kernel and fsck.erofs', () => {
  let directory = ''
  let images = 0
  beforeAll(() => {
    directory = mkdtempSync(`${tmpdir()}/cowshed-compressed-images-`)
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  describe.each(clusterSizes)('with clusters of up to %i blocks', (size) => {
    test('show generated trees as they are', async () => {
      await fc.assert(
        fc.asyncProperty(generatedTrees, (tree) => compareMounted(tree, size)),
        { numRuns: 12 },
      )
    })

    test('show every content as it is', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(mixedContents, { maxLength: 12 }), (contents) =>
          compareMounted(treeOfContents(contents), size),
        ),
        { numRuns: 12 },
      )
    })

    test('show the torture tree as it is', async () => {
      await compareMounted(tortureTree(), size)
    })
  })

  async function compareMounted(tree: GeneratedTree, size: ClusterBlocks): Promise<void> {
    // A name of its own: a loop device that is not quite gone would show the image that was there before.
    const image = `${directory}/image-${++images}`
    const bytes = compressedImageOf(tree, size)
    writeFileSync(image, withSpare(bytes))
    await fsckErofs(image)
    const expected = expectedOf(tree.root, bytesIn(tree.blob))
    expect(await withMountedErofs(image, snapshotOfDirectory)).toEqual(expected)
    rmSync(image)
    const reader = open(bytes)
    reader.verify()
    expect(expectedOf(reader.tree(), bytesIn(bytes))).toEqual(expected)
  }
})

test('a range of a compressed file is the range of its content', () => {
  fc.assert(
    fc.property(mixedContents, clusterBlocks, fc.nat(), fc.nat(200_000), (content, size, at, length) => {
      const reader = open(compressedImageOf(treeOfContents([content]), size))
      const file = reader.lookup('file-0')
      if (file === undefined) throw new Error('no such file')
      const from = at % Math.max(1, content.length)
      expect(reader.readFile(file, from, length).equals(content.subarray(from, from + length))).toBe(true)
    }),
  )
})

test('what an image says of its extents is never believed', () => {
  const trees = fc.array(mixedContents, { minLength: 1, maxLength: 3 }).map(treeOfContents)
  const changes = fc.array(fc.tuple(fc.nat(), fc.oneof(fc.constantFrom(0, 1, 2, 8, 0xff), fc.nat(255))), {
    minLength: 1,
    maxLength: 8,
  })
  fc.assert(
    fc.property(trees, clusterBlocks, changes, fc.boolean(), (tree, size, mutations, everywhere) => {
      const { root, blob } = compressTree(tree, size)
      const bootstrap = layoutBootstrap(root, { uuid, blobBlocks: [blob.length / blockSize], clusterBlocks: size })
      const image = Buffer.concat([...bootstrap.chunks(), blob])
      const reach = everywhere ? image.length : Math.min(bootstrap.bytes, 3000)
      for (const [at, value] of mutations) image[1024 + (at % (reach - 1024))] = value
      sealFirstBlock(image)
      try {
        const reader = open(image)
        for (const { inode } of reader.walk()) if (inode.kind === 'file') reader.readFile(inode, 0, 2 ** 22)
        reader.verify()
      } catch (error) {
        if (!isProblem(error, 'EROFS_INVALID')) throw error
      }
    }),
    { numRuns: 300 },
  )
})

test('an image of a plain kind has nothing of all this', () => {
  const reader = open(imageOf(tortureTree()))
  expect(reader.superblock.features.incompat).toBe(0)
  for (const { inode } of reader.walk()) expect(inode.layout).not.toBe(dataLayout.compressedFull)
})

function open(image: Buffer): ErofsReader {
  return ErofsReader.open((offset, length) => image.subarray(offset, offset + length), image.length)
}
