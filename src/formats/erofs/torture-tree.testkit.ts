import { type GeneratedTree, patternBytes } from './generated-tree.testkit.ts'
import {
  type ByteName,
  blockSize,
  type DirectoryNode,
  type FileNode,
  type InodeAttributes,
  type TreeNode,
} from './tree.ts'

const plain: InodeAttributes = {
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtimeSeconds: 1_700_000_000,
  mtimeNanoseconds: 0,
  xattrs: [],
}

/** One of everything that has broken an erofs writer or reader somewhere. */
export function tortureTree(): GeneratedTree {
  const data = patternBytes(3 * blockSize, 1)
  const shared = inlineFile('one inode, three names')
  const root = directory({
    'many-files': directory(numbered(5000, (index) => inlineFile(`file ${index}`))),
    'many-directories': directory(numbered(300, (index) => directory({ [`of-${index}`]: shared }))),
    empty: directory({}),
    'sorted-around-the-dots': directory({
      ' ': shared,
      '!bang': inlineFile('!'),
      '-dash': inlineFile('-'),
      '.a': inlineFile('.'),
      '..a': inlineFile('..'),
    }),
    names: directory({
      'n\xff\xfe': inlineFile('not UTF-8'),
      [`\xc3\xa9${'x'.repeat(253)}`]: inlineFile('255 bytes'),
      '\x01\n\t': inlineFile('control'),
    }),
    links: directory({
      long: symlink('t'.repeat(4000)),
      longest: symlink('t'.repeat(4095)),
      short: symlink('x'),
      up: symlink('../../../../etc'),
    }),
    nodes: directory({
      'block-259-300': { ...plain, kind: 'block', major: 259, minor: 300 },
      'char-0-0': { ...plain, kind: 'char', major: 0, minor: 0 },
      'char-4095-1048575': { ...plain, kind: 'char', major: 4095, minor: 1048575 },
      fifo: { ...plain, kind: 'fifo' },
      socket: { ...plain, kind: 'socket' },
    }),
    owners: directory({
      high: { ...inlineFile('x'), uid: 70_000, gid: 3_000_000 },
      highest: { ...inlineFile('x'), uid: 3_000_000_000 },
    }),
    times: directory({
      'before-1970': { ...inlineFile('x'), mtimeSeconds: -315_619_200, mtimeNanoseconds: 123_456_789 },
      'year-2300': { ...inlineFile('x'), mtimeSeconds: 10_413_792_000, mtimeNanoseconds: 1 },
    }),
    modes: directory({
      setuid: { ...inlineFile('x'), mode: 0o4755 },
      sticky: { ...directory({}), mode: 0o1777 },
      none: { ...inlineFile('x'), mode: 0 },
    }),
    xattrs: directory({
      unaligned: withXattrs({ 'user.t': 'abc' }),
      capability: withXattrs({ 'security.capability': Buffer.from('0100000200040000000000000000000000000000', 'hex') }),
      'empty-value': withXattrs({ 'user.empty': '', 'user.nul': '\0a\0' }),
      large: withXattrs({ [`user.${'n'.repeat(250)}`]: 'v'.repeat(60_000), 'trusted.more': 'w'.repeat(65_535) }),
      many: withXattrs(
        Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`user.name-${index}`, `value ${index}`])),
      ),
      ...numbered(20, (index) =>
        withXattrs({ 'security.selinux': 'system_u:object_r:bin_t:s0', 'user.of': `${index % 3}` }),
      ),
      directory: { ...directory({}), xattrs: [{ name: 'trusted.overlay.opaque', value: Buffer.from('y') }] },
    }),
    sizes: directory(
      Object.fromEntries(
        [0, 1, 4031, 4032, 4033, 4095, 4096, 4097, 8192, 100_000].map((size) => [`${size}`, sized(size)]),
      ),
    ),
    data: directory({
      whole: onBlocks(2 * blockSize, 0),
      partial: onBlocks(blockSize + 1, 1),
      'same-start': onBlocks(1, 0),
      empty: onBlocks(0, 3),
    }),
    deep: chain(40),
    'again-in-the-root': shared,
  })
  return { root, blob: data }
}

function directory(children: Record<ByteName, TreeNode>): DirectoryNode {
  return { ...plain, mode: 0o755, kind: 'directory', children: new Map(Object.entries(children)) }
}

function numbered(count: number, make: (index: number) => TreeNode): Record<ByteName, TreeNode> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`entry-${index}`, make(index)]))
}

function inlineFile(text: string): FileNode {
  const bytes = Buffer.from(text, 'latin1')
  return { ...plain, kind: 'file', size: bytes.length, data: { kind: 'inline', bytes } }
}

function sized(size: number): FileNode {
  return { ...plain, kind: 'file', size, data: { kind: 'inline', bytes: patternBytes(size, size) } }
}

function onBlocks(size: number, startBlock: number): FileNode {
  return { ...plain, kind: 'file', size, data: { kind: 'blocks', blob: 0, startBlock } }
}

function symlink(target: string): TreeNode {
  return { ...plain, mode: 0o777, kind: 'symlink', target: Buffer.from(target, 'latin1') }
}

function withXattrs(values: Record<ByteName, string | Buffer>): FileNode {
  const xattrs = Object.entries(values).map(([name, value]) => ({ name, value: Buffer.from(value) }))
  return { ...inlineFile('has xattrs'), xattrs }
}

/** Directories in one another, with names long enough to make a path of some thousand bytes. */
export function chain(depth: number, name = 'd'.repeat(90)): DirectoryNode {
  let inner = directory({ bottom: inlineFile('bottom') })
  for (let level = 1; level < depth; level++) inner = directory({ [name]: inner })
  return inner
}
