import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { expectedOf } from '../../../test/support/erofs-mount.ts'
import { ErofsReader } from './erofs-reader.ts'
import { bytesIn, generatedTrees, imageOf, uuid } from './generated-tree.testkit.ts'
import { layoutBootstrap } from './layout-bootstrap.ts'
import { sealFirstBlock } from './superblock.ts'
import { chain, tortureTree } from './torture-tree.testkit.ts'
import type { DirectoryNode, InodeAttributes, TreeNode } from './tree.ts'

const plain: InodeAttributes = { mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 5, mtimeNanoseconds: 0, xattrs: [] }

describe('what was written is read', () => {
  test('generated trees', () => {
    fc.assert(
      fc.property(generatedTrees, ({ root, blob }) => {
        const image = imageOf({ root, blob })
        const reader = open(image)
        reader.verify()
        expect(expectedOf(reader.tree(), bytesIn(image))).toEqual(expectedOf(root, bytesIn(blob)))
      }),
      { numRuns: 100 },
    )
  })

  test('the torture tree', () => {
    const { root, blob } = tortureTree()
    const image = imageOf({ root, blob })
    const reader = open(image)
    const expected = expectedOf(root, bytesIn(blob))
    const first = [...expected].filter(([path, facts]) => facts.sameAs === path)
    expect(reader.verify()).toEqual({
      inodes: first.length,
      names: expected.size - 1,
      fileBytes: first.reduce((sum, [, { type, size = 0n }]) => sum + (type === 'file' ? Number(size) : 0), 0),
    })
    expect(expectedOf(reader.tree(), bytesIn(image))).toEqual(expected)
  })

  test('70,000 directories in one, more than a compact inode can count', () => {
    const children = Array.from({ length: 70_000 }, (_, index): [string, TreeNode] => [`${index}`, rootOf({})])
    const image = imageOf({ root: rootOf(Object.fromEntries(children)), blob: Buffer.alloc(0) })
    const reader = open(image)
    expect(reader.root().links).toBe(70_002)
    expect(reader.verify().inodes).toBe(70_001)
    // As mkfs.erofs stores it where it keeps to compact inodes.
    image.writeUInt32LE(1, reader.root().xattrOffset - 64 + 44)
    sealFirstBlock(image)
    expect(open(image).verify().inodes).toBe(70_001)
  })

  test('a file of more than 4 GiB, which a compact inode cannot hold', () => {
    const size = 5 * 2 ** 30 + 1
    const large: TreeNode = { kind: 'file', size, data: { kind: 'blocks', blob: 1, startBlock: 7 }, ...plain }
    const bootstrap = layoutBootstrap(rootOf({ large }), { uuid, blobBlocks: [3, 2 ** 21] })
    const head = Buffer.concat([...bootstrap.chunks()])
    const blocks = head.length / 4096 + 3 + 2 ** 21
    const reader = ErofsReader.open((offset, length) => head.subarray(offset, offset + length), blocks * 4096)
    expect(bootstrap.totalBlocks).toBe(blocks)
    expect(reader.verify().fileBytes).toBe(size)
    expect(reader.lookup('large')).toMatchObject({ size, union: head.length / 4096 + 3 + 7 })
  })

  test('ten thousand directories in one another', () => {
    expect(open(imageOf({ root: chain(10_000, 'd'), blob: Buffer.alloc(0) })).verify().inodes).toBe(10_001)
  })
})

describe('single questions', () => {
  const tree = tortureTree()
  const image = imageOf(tree)
  const reader = open(image)

  test('lookup follows names as bytes, and no symlinks', () => {
    expect(reader.lookup('')).toEqual(reader.root())
    expect(reader.lookup('/names/n\xff\xfe')).toMatchObject({ kind: 'file', size: 9, links: 1 })
    expect(reader.lookup('many-files/entry-4999')).toMatchObject({ kind: 'file' })
    expect(reader.lookup('many-files/entry-5000')).toBeUndefined()
    expect(reader.lookup('links/up')).toMatchObject({ kind: 'symlink' })
    expect(reader.lookup('links/up/x')).toBeUndefined()
    expect(reader.lookup('again-in-the-root')).toEqual(reader.lookup('many-directories/entry-7/of-7'))
    expect(reader.lookup('nodes/block-259-300')).toMatchObject({ kind: 'block', major: 259, minor: 300 })
  })

  test('list gives names in order, without the dots', () => {
    const around = reader.list(found('sorted-around-the-dots'))
    expect(around.map(({ name }) => name)).toEqual([' ', '!bang', '-dash', '..a', '.a'])
    expect(reader.list(found('empty'))).toEqual([])
    expect(() => reader.list(found('links/up'))).toThrow(/not a directory/)
  })

  test('readFile gives any range, and stops at the end', () => {
    const file = found('sizes/100000')
    const whole = reader.readFile(file)
    expect(whole.length).toBe(100_000)
    for (const [offset, length] of [
      [0, 1],
      [4095, 2],
      [98_303, 3],
      [99_999, 50],
      [100_000, 1],
      [200_000, 1],
    ] as const) {
      expect(reader.readFile(file, offset, length)).toEqual(whole.subarray(offset, offset + length))
    }
    expect(Buffer.concat([...reader.contents(file)]).equals(whole)).toBe(true)
    expect(() => reader.readFile(reader.root())).toThrow(/not a file/)
  })

  test('readlink and xattrs', () => {
    expect(reader.readlink(found('links/long')).toString()).toBe('t'.repeat(4000))
    expect(() => reader.readlink(reader.root())).toThrow(/not a symbolic link/)
    expect(reader.xattrs(found('xattrs/unaligned'))).toEqual([{ name: 'user.t', value: Buffer.from('abc') }])
    expect(reader.xattrs(reader.root())).toEqual([])
  })

  test('a tree that was read can be written again, on top of the old image as its data', () => {
    const again = layoutBootstrap(reader.tree(), { uuid, blobBlocks: [image.length / 4096] })
    const second = Buffer.concat([...again.chunks(), image])
    expect(expectedOf(open(second).tree(), bytesIn(second))).toEqual(expectedOf(tree.root, bytesIn(tree.blob)))
  })

  function found(path: string) {
    const inode = reader.lookup(path)
    if (inode === undefined) throw new Error(`no ${path}`)
    return inode
  }
})

function open(image: Buffer): ErofsReader {
  return ErofsReader.open((offset, length) => image.subarray(offset, offset + length), image.length)
}

function rootOf(children: Record<string, TreeNode>): DirectoryNode {
  return { ...plain, mode: 0o755, kind: 'directory', children: new Map(Object.entries(children)) }
}
