import fc from 'fast-check'
import { layoutBootstrap } from './layout-bootstrap.ts'
import {
  type ByteName,
  blockSize,
  type DirectoryNode,
  type FileNode,
  type InodeAttributes,
  type TreeNode,
  type Xattr,
} from './tree.ts'

/** A tree and the bytes of its only data blob. */
export interface GeneratedTree {
  readonly root: DirectoryNode
  readonly blob: Buffer
}

export const uuid = Buffer.from('00112233445566778899aabbccddeeff', 'hex')

/** The whole image of a generated tree: bootstrap and blob. */
export function imageOf({ root, blob }: GeneratedTree): Buffer {
  const bootstrap = layoutBootstrap(root, { uuid, blobBlocks: [blob.length / blockSize] })
  return Buffer.concat([...bootstrap.chunks(), blob])
}

/** The content of a file that is on blocks of these bytes. */
export function bytesIn(blob: Buffer): (file: FileNode) => Buffer {
  return ({ data, size }) => {
    if (data.kind === 'inline') return data.bytes
    return blob.subarray(data.startBlock * blockSize, data.startBlock * blockSize + size)
  }
}

/** Bytes that differ from place to place, so that a block read from elsewhere is noticed. */
export function patternBytes(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + (at >> 8) * 7 + seed) & 0xff
  return bytes
}

const byteNames: fc.Arbitrary<ByteName> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('a', '!bang', '-dash', ' sp', '.a', '..a', '...', '.-', '\xff\xfe', '\xc3\xa9'),
  },
  { weight: 3, arbitrary: latin1({ minLength: 1, maxLength: 12 }) },
  { weight: 1, arbitrary: latin1({ minLength: 240, maxLength: 255 }) },
)

function latin1(lengths: { minLength: number; maxLength: number }): fc.Arbitrary<ByteName> {
  return fc
    .uint8Array({ ...lengths, min: 1 })
    .map((bytes) => Buffer.from(bytes).toString('latin1').replaceAll('/', '+'))
    .filter((name) => name !== '.' && name !== '..')
}

/** Sizes around everything that matters: slots, headers, blocks, and a tail that would just start the next block. */
const sizes = fc.oneof(
  fc.constantFrom(
    0,
    1,
    31,
    32,
    33,
    63,
    64,
    65,
    2800,
    2880,
    4000,
    4031,
    4032,
    4033,
    4064,
    4095,
    4096,
    4097,
    8191,
    8192,
    12289,
  ),
  fc.nat({ max: 9000 }),
)

const times = fc.oneof(
  { weight: 3, arbitrary: fc.constant([1_700_000_000, 0]) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      [-315_619_200, 123_456_789],
      [10_413_792_000, 1],
      [2 ** 40, 999_999_999],
      [-1, 0],
      [0, 0],
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.integer(), fc.nat({ max: 999_999_999 })) },
)

const owners = fc.constantFrom(0, 0, 1000, 65535, 65536, 70_000, 3_000_000_000, 4_294_967_294)

const acl = Buffer.from(
  '0200000001000600ffffffff02000400e803000004000400ffffffff10000600ffffffff20000400ffffffff',
  'hex',
)
const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex')

/** Such as the kernel hands out again: it checks the shape of ACLs and capabilities. */
const xattrsAnywhere: fc.Arbitrary<Xattr> = fc.oneof(
  fc.record({ name: latin1({ minLength: 1, maxLength: 30 }).map((rest) => `trusted.${rest}`), value: values(40) }),
  fc.record({ name: fc.constantFrom('security.x', 'security.selinux', 'trusted.y'), value: values(3000) }),
  fc.constant({ name: 'security.capability', value: capability }),
)
const xattrsOfFiles: fc.Arbitrary<Xattr> = fc.oneof(
  xattrsAnywhere,
  fc.record({ name: latin1({ minLength: 1, maxLength: 250 }).map((rest) => `user.${rest}`), value: values(9000) }),
  fc.constant({ name: 'system.posix_acl_access', value: acl }),
)

function values(maxLength: number): fc.Arbitrary<Buffer> {
  return fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: maxLength })).map((length) => patternBytes(length, length))
}

function attributes(xattr: fc.Arbitrary<Xattr>): fc.Arbitrary<InodeAttributes> {
  return fc
    .record({
      mode: fc.nat({ max: 0o7777 }),
      uid: owners,
      gid: owners,
      time: times,
      xattrs: fc.oneof(
        { weight: 3, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.uniqueArray(xattr, { selector: ({ name }) => name, maxLength: 5 }) },
      ),
    })
    .map(({ time: [mtimeSeconds = 0, mtimeNanoseconds = 0], ...rest }) => ({ ...rest, mtimeSeconds, mtimeNanoseconds }))
}

interface Step {
  /** Which of the directories so far it goes into. */
  readonly parent: number
  readonly name: ByteName
  readonly what: Make
}

interface Planted {
  readonly directories: DirectoryNode[]
  readonly others: TreeNode[]
  readonly blocks: Buffer[]
}

type Make = (planted: Planted) => TreeNode

const attributesOfFiles = attributes(xattrsOfFiles)
const attributesOfOthers = attributes(xattrsAnywhere)

const directories = attributesOfFiles.map(
  (rest): Make =>
    () => ({ ...rest, kind: 'directory', children: new Map() }),
)
const inlineFiles = fc.tuple(attributesOfFiles, sizes).map(
  ([rest, size]): Make =>
    () =>
      inlineFile(rest, size),
)
const blockFiles = fc.tuple(attributesOfFiles, sizes).map(
  ([rest, size]): Make =>
    ({ blocks }) =>
      blockFile(rest, size, blocks),
)
const symlinks = fc
  .tuple(attributesOfOthers, fc.oneof(fc.constantFrom(1, 20, 4000, 4095), fc.integer({ min: 1, max: 4095 })))
  .map(
    ([rest, length]): Make =>
      () =>
        symlink(rest, length),
  )
const devices = fc
  .tuple(attributesOfOthers, fc.constantFrom('char', 'block'), fc.nat({ max: 0xfff }), fc.nat({ max: 0xfffff }))
  .map(
    ([rest, kind, major, minor]): Make =>
      () => ({ ...rest, kind, major, minor }),
  )
const specials = fc.tuple(attributesOfOthers, fc.constantFrom('fifo', 'socket')).map(
  ([rest, kind]): Make =>
    () => ({ ...rest, kind }),
)
const hardLinks = fc.tuple(attributesOfFiles, fc.nat()).map(
  ([rest, which]): Make =>
    ({ others }) =>
      others[which % others.length] ?? inlineFile(rest, 3),
)

const kinds: fc.Arbitrary<Make> = fc.oneof(
  { weight: 3, arbitrary: directories },
  { weight: 4, arbitrary: inlineFiles },
  { weight: 3, arbitrary: blockFiles },
  { weight: 2, arbitrary: symlinks },
  { weight: 1, arbitrary: devices },
  { weight: 1, arbitrary: specials },
  { weight: 1, arbitrary: hardLinks },
)

function inlineFile(rest: InodeAttributes, size: number): FileNode {
  return { ...rest, kind: 'file', size, data: { kind: 'inline', bytes: patternBytes(size, size) } }
}

function blockFile(rest: InodeAttributes, size: number, blocks: Buffer[]): FileNode {
  const startBlock = blocks.length
  const bytes = Buffer.concat([patternBytes(size, startBlock), Buffer.alloc(blockSize)])
  for (let at = 0; at < size; at += blockSize) blocks.push(bytes.subarray(at, at + blockSize))
  return { ...rest, kind: 'file', size, data: { kind: 'blocks', blob: 0, startBlock } }
}

function symlink(rest: InodeAttributes, length: number): TreeNode {
  return { ...rest, kind: 'symlink', target: Buffer.from(patternBytes(length, length).map((byte) => byte || 1)) }
}

/** Trees with everything that a Linux filesystem holds, leaning to the edges of the format. */
export const generatedTrees: fc.Arbitrary<GeneratedTree> = fc
  .record({
    root: attributes(xattrsOfFiles),
    steps: fc.array(fc.record({ parent: fc.nat(), name: byteNames, what: kinds }), { maxLength: 40, size: 'max' }),
  })
  .map(({ root, steps }) => plant({ ...root, kind: 'directory', children: new Map() }, steps))

function plant(root: DirectoryNode, steps: readonly Step[]): GeneratedTree {
  const planted: Planted = { directories: [root], others: [], blocks: [] }
  for (const { parent, name, what } of steps) {
    const directory = planted.directories[parent % planted.directories.length] ?? root
    if (directory.children.has(name)) continue
    const node = what(planted)
    directory.children.set(name, node)
    if (node.kind === 'directory') planted.directories.push(node)
    else planted.others.push(node)
  }
  return { root, blob: Buffer.concat(planted.blocks) }
}

/** The same tree with every directory's names added in reverse; hard links stay what they are. */
export function addedInReverse(root: DirectoryNode): DirectoryNode {
  const copy: DirectoryNode = { ...root, children: new Map() }
  for (const [name, node] of [...root.children].reverse()) {
    copy.children.set(name, node.kind === 'directory' ? addedInReverse(node) : node)
  }
  return copy
}
