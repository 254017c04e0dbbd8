import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addedInReverse, generatedTrees, imageOf, uuid } from './generated-tree.testkit.ts'
import { layoutBootstrap } from './layout-bootstrap.ts'
import { chain, tortureTree } from './torture-tree.testkit.ts'
import { blockSize, type DirectoryNode, type FileNode, type InodeAttributes, type TreeNode } from './tree.ts'

const plain: InodeAttributes = { mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 5, mtimeNanoseconds: 0, xattrs: [] }

describe('the bytes of an image', () => {
  test('a tiny image, byte by byte', () => {
    const hello: FileNode = { ...plain, kind: 'file', size: 5, data: { kind: 'inline', bytes: Buffer.from('hello') } }
    const big: FileNode = {
      ...plain,
      uid: 70_000,
      kind: 'file',
      size: 4097,
      data: { kind: 'blocks', blob: 1, startBlock: 2 },
    }
    const bootstrap = layoutBootstrap(rootOf({ hello, big }), { uuid, blobBlocks: [3, 4] })
    const image = Buffer.concat([...bootstrap.chunks()])

    expect(bootstrap).toMatchObject({ bytes: 4096, totalBlocks: 8, inodes: 3, dropped: [] })
    expect(image.subarray(0, 1024)).toEqual(Buffer.alloc(1024))
    expect(image.toString('hex', 1024, 1152)).toBe(
      [
        'e2e1f5e0', // magic
        'CHECKSUM',
        '03000000', // SB_CHKSUM | MTIME
        '0c00', // blocks of 2^12 bytes
        '2400', // the root is inode 36
        '0300000000000000', // inodes
        '0500000000000000', // the epoch is the files' time
        '00000000',
        '08000000', // blocks
        '00000000', // inodes are counted from block 0
        '00000000',
        '00112233445566778899aabbccddeeff',
        '00'.repeat(64), // volume name; no incompatible feature, no compression, no devices
      ]
        .join('')
        .replace('CHECKSUM', image.toString('hex', 1028, 1032)),
    )
    // The root: compact, inline, no xattrs, 0755, three links, 12 * 4 bytes of entries and 11 of names.
    expect(image.toString('hex', 1152, 1184)).toBe(
      `04000000ed410200${'3b000000'}00000000ffffffff01000000${'00'.repeat(8)}`,
    )
    expect(image.toString('latin1', 1184 + 48, 1184 + 59)).toBe('...bighello')
    // `big`: extended because of its owner, plain, at block 1 of the bootstrap + 3 of blob 0 + 2.
    const at = 1152 + 96
    expect(image.toString('hex', at, at + 24)).toBe('01000000a481000001100000000000000600000002000000')
    // `hello`: compact, inline, its bytes right behind it; then nothing.
    expect(image.toString('latin1', at + 64 + 32, at + 64 + 37)).toBe('hello')
    expect(image.subarray(at + 64 + 37).every((byte) => byte === 0)).toBe(true)
  })

  test('are those that this writer version has always given: raise writerVersion when they must change', () => {
    const digest = createHash('sha256').update(imageOf(tortureTree())).digest('hex')
    expect(digest).toBe('604e04e7867cc1e6d6e6bb9003c439886c16926abad8c045c24fd46353e29288')
  })

  test('depend on the tree, not on the order in which names were added', () => {
    fc.assert(
      fc.property(generatedTrees, ({ root, blob }) => {
        const reversed = imageOf({ root: addedInReverse(root), blob })
        expect(reversed.equals(imageOf({ root, blob }))).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  test('can be asked for twice, in chunks of 1 MiB that add up', () => {
    const bootstrap = layoutBootstrap(tortureTree().root, { uuid, blobBlocks: [3] })
    const chunks = [...bootstrap.chunks()]
    expect(Buffer.concat(chunks).equals(Buffer.concat([...bootstrap.chunks()]))).toBe(true)
    expect(chunks.slice(0, -1).every(({ length }) => length === 1 << 20)).toBe(true)
    expect(chunks.reduce((sum, { length }) => sum + length, 0)).toBe(bootstrap.bytes)
    expect(bootstrap.bytes % blockSize).toBe(0)
  })
})

test('xattrs of namespaces that erofs has no number for are left out and named', () => {
  const value = Buffer.from('v')
  const names = ['system.nfs4_acl', 'user.', 'com.apple.x', 'user.kept']
  const file: FileNode = { ...inline(''), xattrs: names.map((name) => ({ name, value })) }
  const root = rootOf({ etc: rootOf({ file }), 'second-name': file })
  const { dropped } = layoutBootstrap(root, { uuid, blobBlocks: [] })
  expect(dropped).toEqual([
    { path: 'second-name', name: 'com.apple.x' },
    { path: 'second-name', name: 'system.nfs4_acl' },
    { path: 'second-name', name: 'user.' },
  ])
})

test('ten thousand directories in one another do not overflow the stack', () => {
  const { inodes } = layoutBootstrap(chain(10_000, 'd'), { uuid, blobBlocks: [] })
  expect(inodes).toBe(10_001)
})

describe('what erofs cannot hold is refused with its path', () => {
  const twice = rootOf({})
  const long = 'n'.repeat(256)
  const cases: [string, TreeNode, RegExp][] = [
    ['mode with type bits', { ...inline(''), mode: 0o100644 }, /mode/],
    ['negative owner', { ...inline(''), uid: -1 }, /owner/],
    ['owner of 33 bits', { ...inline(''), gid: 2 ** 32 }, /owner/],
    ['a second of 2e9 ns', { ...inline(''), mtimeNanoseconds: 2e9 }, /modification time/],
    ['a time with a fraction', { ...inline(''), mtimeSeconds: 0.5 }, /modification time/],
    ['inline bytes of another size', { ...inline('abc'), size: 4 }, /size is 4/],
    [
      'blocks past the blob',
      { ...inline(''), size: 4097, data: { kind: 'blocks', blob: 0, startBlock: 1 } },
      /no such blocks/,
    ],
    ['no such blob', { ...inline(''), size: 1, data: { kind: 'blocks', blob: 7, startBlock: 0 } }, /no such blocks/],
    ['an empty link target', { ...plain, kind: 'symlink', target: Buffer.alloc(0) }, /without a target/],
    ['a link target too long', { ...plain, kind: 'symlink', target: Buffer.alloc(4096, 'x') }, /4095/],
    ['a NUL in a link target', { ...plain, kind: 'symlink', target: Buffer.from('a\0b') }, /NUL/],
    ['a major of 13 bits', { ...plain, kind: 'block', major: 4096, minor: 0 }, /device/],
    ['an xattr value too long', withXattr('user.a', 65_536), /65535/],
    ['an xattr name too long', withXattr(`user.${'a'.repeat(251)}`, 1), /longer than 255/],
    ['an xattr name with a NUL', withXattr('user.a\0b', 1), /NUL/],
    [
      'one xattr twice',
      { ...inline(''), xattrs: [...withXattr('user.a', 1).xattrs, ...withXattr('user.a', 2).xattrs] },
      /two xattrs/,
    ],
    [
      'xattrs too large together',
      { ...inline(''), xattrs: [1, 2, 3, 4, 5].flatMap((n) => withXattr(`user.${n}`, 60_000).xattrs) },
      /262148/,
    ],
  ]
  test.each(cases)('%s', (_, node, message) => {
    const root = rootOf({ etc: rootOf({ 'the-one': node }) })
    expect(() => layoutBootstrap(root, { uuid, blobBlocks: [2] })).toThrow(message)
    expect(() => layoutBootstrap(root, { uuid, blobBlocks: [2] })).toThrow(/\/etc\/the-one in an erofs image/)
  })

  test.each([
    ['', /""/],
    ['.', /"."/],
    ['..', /"\.\."/],
    ['a/b', /slash/],
    ['a\0', /NUL/],
    [long, /256 bytes/],
    ['\u0100', /byte string/],
  ])('the name %j', (name, message) => {
    const attempt = () => layoutBootstrap(rootOf({ [name]: inline('') }), { uuid, blobBlocks: [] })
    expect(attempt).toThrow(message)
    expect(attempt).toThrow(expect.objectContaining({ code: 'EROFS_INVALID' }))
  })

  test('a directory under two names', () => {
    expect(() => layoutBootstrap(rootOf({ a: twice, b: twice }), { uuid, blobBlocks: [] })).toThrow(
      /\/b.* is the directory \/a/,
    )
  })

  test('a directory inside itself', () => {
    const loop = rootOf({})
    loop.children.set('loop', loop)
    expect(() => layoutBootstrap(loop, { uuid, blobBlocks: [] })).toThrow(/second name/)
  })

  test('more blocks than there are block numbers', () => {
    expect(() => layoutBootstrap(rootOf({}), { uuid, blobBlocks: [0xffffffff] })).toThrow(/16 TiB/)
  })
})

function rootOf(children: Record<string, TreeNode>): DirectoryNode {
  return { ...plain, mode: 0o755, kind: 'directory', children: new Map(Object.entries(children)) }
}

function inline(text: string): FileNode {
  return { ...plain, kind: 'file', size: text.length, data: { kind: 'inline', bytes: Buffer.from(text) } }
}

function withXattr(name: string, bytes: number): FileNode {
  return { ...inline(''), xattrs: [{ name, value: Buffer.alloc(bytes, 'v') }] }
}
