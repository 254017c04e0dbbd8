import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addedInReverse, generatedTrees } from '../erofs/generated-tree.testkit.ts'
import { tortureTree } from '../erofs/torture-tree.testkit.ts'
import { blockSize, type DirectoryNode, type TreeNode } from '../erofs/tree.ts'
import { hashSeed, storableTree, treeWithOneFile, uuid } from './ext4-image.testkit.ts'
import { growExt4, readExt4Head } from './grow-ext4.ts'
import { layoutExt4 } from './layout-ext4.ts'

const GiB = 2 ** 30
const plain = { mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0, xattrs: [] }
const file = (rest: Partial<TreeNode> = {}): TreeNode =>
  ({ ...plain, kind: 'file', size: 1, data: { kind: 'inline', bytes: Buffer.from('x') }, ...rest }) as TreeNode
const rootOf = (children: Record<string, TreeNode>): DirectoryNode => ({
  ...plain,
  kind: 'directory',
  children: new Map(Object.entries(children)),
})
const layout = (root: DirectoryNode, blobBlocks: readonly number[] = []) =>
  layoutExt4(root, { uuid, hashSeed, blobBlocks })

describe('layoutExt4', () => {
  test('gives the same bytes for the same tree, in whatever order its names were added', () => {
    fc.assert(
      fc.property(generatedTrees, ({ root, blob }) => {
        const blocks = [blob.length / blockSize]
        const tree = storableTree(root)
        const image = layout(tree, blocks)
        expect(digestOf(image)).toBe(digestOf(layout(addedInReverse(tree), blocks)))
        expect(digestOf(image)).toBe(digestOf(image))
      }),
      { numRuns: 20 },
    )
  })

  test('gives no block to two things, and all of them are below the end', () => {
    fc.assert(
      fc.property(generatedTrees, ({ root, blob }) => {
        const image = layout(storableTree(root), [blob.length / blockSize])
        const taken = new Set<number>()
        const take = (first: number, blocks: number) => {
          for (let block = first; block < first + blocks; block++) {
            expect(taken.has(block)).toBe(false)
            expect(block * blockSize).toBeLessThan(image.bytes)
            taken.add(block)
          }
        }
        for (const { offset, bytes } of image.pieces()) take(offset / blockSize, bytes.length / blockSize)
        for (const { block, blocks } of image.runs) take(block, blocks)
      }),
      { numRuns: 20 },
    )
  })

  test('keeps the files of a layer that lie side by side so, and gives each of two same ones blocks of its own', () => {
    const onBlocks = (startBlock: number, blocks: number) =>
      file({ size: blocks * blockSize, data: { kind: 'blocks', blob: 0, startBlock } })
    const { runs } = layout(rootOf({ z: onBlocks(0, 3), b: onBlocks(3, 2), a: onBlocks(0, 3), d: onBlocks(6, 1) }), [7])
    expect(runs.map(({ blobBlock, blocks }) => [blobBlock, blocks])).toEqual([
      [0, 5],
      [6, 1],
      [0, 3],
    ])
    expect(new Set(runs.map(({ block }) => block)).size).toBe(3)
  })

  test('says where it had to differ from the tree', () => {
    const xattrs = [
      { name: 'system.posix_acl_access', value: Buffer.from('no acl') },
      { name: 'os2.x', value: Buffer.from('x') },
    ]
    const { adjustments } = layout(rootOf({ a: file({ xattrs, mtimeSeconds: 2 ** 40 }) }))
    expect(adjustments.map(({ path }) => path)).toEqual(['a', 'a', 'a'])
    expect(adjustments.map(({ what }) => what).join()).toMatch(/time.*no POSIX ACL.*os2\.x/)
  })

  test.each([
    ['xattrs that are too many', file({ xattrs: [{ name: 'user.x', value: Buffer.alloc(4100) }] }), /xattrs take/],
    ['data that is nowhere', file({ size: 9, data: { kind: 'blocks', blob: 0, startBlock: 0 } }), /no such blocks/],
    [
      'compressed data',
      file({ data: { kind: 'compressed', blob: 0, startBlock: 0, blocks: 1, extents: [] } }),
      /compressed/,
    ],
    ['a mode that is more than permissions', file({ mode: 0o100644 }), /permission bits/],
  ])('refuses %s, and names the path', (_, node, message) => {
    const act = () => layout(rootOf({ 'the-file': node }))
    expect(act).toThrow(expect.objectContaining({ code: 'EXT4_INVALID', message: expect.stringMatching(message) }))
    expect(act).toThrow('/the-file')
  })

  test('refuses a name that is none, a directory with two names and a file with too many', () => {
    expect(() => layout(rootOf({ 'a/b': file() }))).toThrow('slash')
    const directory = rootOf({})
    expect(() => layout(rootOf({ a: directory, b: directory }))).toThrow('second name')
    const same = file()
    const names = Object.fromEntries(Array.from({ length: 65_001 }, (_, index) => [`${index}`, same]))
    expect(() => layout(rootOf(names))).toThrow('65001 names')
  })

  test('refuses what no ext4 of 16 TiB holds', () => {
    const { root, blobBlocks } = treeWithOneFile(2 ** 44)
    expect(() => layout(root, [blobBlocks])).toThrow('16 TiB')
  })
})

describe('growExt4', () => {
  const image = layout(storableTree(tortureTree().root), [3])
  const head = Buffer.concat([...image.pieces()].slice(0, 2).map(({ bytes }) => bytes))
  const read = (offset: number, length: number) => Buffer.from(head.subarray(offset, offset + length))

  test('changes nothing but the head and the end', () => {
    expect(growExt4({ bytes: image.bytes, read })).toEqual([])
    const pieces = growExt4({ bytes: 5 * GiB, read })
    expect(pieces.map(({ bytes }) => bytes.length)).toEqual([blockSize, blockSize, blockSize])
    const [first] = pieces
    expect(readExt4Head(first?.bytes ?? Buffer.alloc(0))).toEqual({ uuid, bytes: 5 * GiB })
  })

  test('refuses to make it smaller, and to do it twice', () => {
    expect(() => growExt4({ bytes: image.bytes - 1, read })).toThrow('needs a disk of')
    const [first] = growExt4({ bytes: 200 * 2 ** 20, read })
    const grown = () => Buffer.from(first?.bytes ?? [])
    expect(() => growExt4({ bytes: GiB, read: grown })).toThrow('made larger before')
  })

  test('believes no head that is not one of ours, whole', () => {
    fc.assert(
      fc.property(fc.nat({ max: 1023 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = read(0, blockSize)
        damaged.writeUInt8(damaged.readUInt8(1024 + at) ^ change, 1024 + at)
        expect(() => readExt4Head(damaged)).toThrow(expect.objectContaining({ code: 'EXT4_INVALID' }))
      }),
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4096 }), (bytes) => {
        expect(() => readExt4Head(Buffer.from(bytes))).toThrow(expect.objectContaining({ code: 'EXT4_INVALID' }))
      }),
    )
  })
})

function digestOf(image: ReturnType<typeof layout>): string {
  const hash = createHash('sha256').update(JSON.stringify([image.bytes, image.runs]))
  for (const { offset, bytes } of image.pieces()) hash.update(`${offset}`).update(bytes)
  return hash.digest('hex')
}
