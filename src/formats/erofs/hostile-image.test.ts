import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isProblem } from '../../base/index.ts'
import type { Kind } from '../type-bits.ts'
import { encodeDirectoryBlock } from './directory-blocks.ts'
import { ErofsReader } from './erofs-reader.ts'
import { bytesIn, generatedTrees, imageOf } from './generated-tree.testkit.ts'
import { encodeInodeCore, type InodeCore } from './inode-core.ts'
import { encodeSuperblock, sealFirstBlock } from './superblock.ts'
import { tortureTree } from './torture-tree.testkit.ts'

describe('any bytes give a value or a Problem', () => {
  test('mutated images', () => {
    const mutations = fc.array(fc.tuple(fc.nat(), fc.oneof(fc.constantFrom(0, 1, 0xff, 0x80), fc.nat({ max: 255 }))), {
      minLength: 1,
      maxLength: 12,
    })
    fc.assert(
      fc.property(generatedTrees, mutations, fc.boolean(), (tree, changes, reseal) => {
        const image = imageOf(tree)
        const metadata = Math.min(image.length, 16_384)
        for (const [at, value] of changes) image[1024 + (at % (metadata - 1024))] = value
        if (reseal) sealFirstBlock(image)
        readEverything(image)
      }),
      { numRuns: 500 },
    )
  })

  test('truncated images', () => {
    const image = imageOf(tortureTree())
    fc.assert(
      fc.property(fc.nat({ max: image.length - 1 }), (length) => {
        expect(() => open(image.subarray(0, length))).toThrow(expect.objectContaining({ code: 'EROFS_INVALID' }))
      }),
    )
  })

  test('bytes that are no image', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000, size: 'max' }), (bytes) => readEverything(Buffer.from(bytes))),
    )
  })
})

describe('the superblock', () => {
  const sound = imageOf(tortureTree())
  test.each<[string, (image: Buffer) => void, RegExp]>([
    ['another filesystem', (image) => image.fill(0, 1024, 1028), /no erofs superblock/],
    [
      'features of the future',
      (image) => image.writeUInt32LE(0x80000000, 1024 + 80),
      /not supported: feature 0x80000000/,
    ],
    [
      'another compression',
      (image) => void image.writeUInt16LE(2, image.writeUInt32LE(2, 1104)),
      /another way than with LZ4/,
    ],
    [
      'a table of devices outside',
      (image) => image.writeUInt32LE(0xffffffff, image.writeUInt32LE(8, 1104) + 2),
      /table of dev/,
    ],
    ['blocks of 2^17 bytes', (image) => image.writeUInt8(17, 1024 + 12), /block size/],
    ['blocks of 2^8 bytes', (image) => image.writeUInt8(8, 1024 + 12), /block size/],
    ['more blocks than bytes', (image) => image.writeUInt32LE(0xffffffff, 1024 + 36), /of its/],
    ['a wrong checksum', (image) => image.writeUInt8(1, 1024 + 60), /checksum of block 0/],
    ['a wrong count of inodes', (image) => resealed(image, () => image.writeUInt32LE(7, 1024 + 16)), /counts 7 inodes/],
    ['a root far away', (image) => resealed(image, () => image.writeUInt16LE(0xffff, 1024 + 14)), /inode 65535/],
  ])('%s', (_, damage, message) => {
    const image = Buffer.from(sound)
    damage(image)
    expect(() => open(image).verify()).toThrow(message)
  })

  test('a read that gives fewer bytes than the file was said to have', () => {
    const short = () => ErofsReader.open((offset, length) => sound.subarray(offset, offset + length - 1), sound.length)
    expect(short).toThrow(/gave 127/)
  })

  test('an image without a checksum is not checked for it', () => {
    const image = Buffer.from(sound)
    image.writeUInt32LE(2, 1024 + 8)
    expect(open(image).verify().inodes).toBeGreaterThan(5000)
  })
})

describe('what only malice makes', () => {
  const root = 36
  const other = 40
  const directory = { mode: 0o040755, links: 2, layout: 2, size: 0 }

  test('a directory that holds its parent', () => {
    const image = craft({
      [root]: {
        ...directory,
        links: 3,
        entries: [
          ['.', root],
          ['..', root],
          ['a', other],
        ],
      },
      [other]: {
        ...directory,
        links: 3,
        entries: [
          ['.', other],
          ['..', root],
          ['b', root],
        ],
      },
    })
    expect(() => open(image).verify()).toThrow(/\/a\/b: it is a directory with another name already/)
    expect(() => open(image).tree()).toThrow(/another name/)
    expect(() => [...open(image).walk()]).toThrow(/another name/)
  })

  test.each<[string, [string, number][], RegExp]>([
    [
      'a .. that leads elsewhere',
      [
        ['.', root],
        ['..', other],
      ],
      /its \.\. is another/,
    ],
    ['no ..', [['.', root]], /lacks/],
    [
      'a name twice',
      [
        ['.', root],
        ['..', root],
        ['a', other],
        ['a', other],
      ],
      /out of order/,
    ],
    [
      'names out of order',
      [
        ['.', root],
        ['..', root],
        ['b', other],
        ['a', other],
      ],
      /out of order/,
    ],
    [
      'a type that is not the inode’s',
      [
        ['.', root],
        ['..', root],
        ['a', 44],
      ],
      /listed as directory but is file/,
    ],
  ])('%s', (_, entries, message) => {
    const image = craft({
      [root]: { ...directory, entries },
      [other]: {
        ...directory,
        entries: [
          ['.', other],
          ['..', root],
        ],
      },
      44: { mode: 0o100644, layout: 0, size: 0, links: 1 },
    })
    expect(() => open(image).verify()).toThrow(message)
  })

  test.each<[string, Partial<InodeCore>, RegExp]>([
    ['data outside the image', { size: 9000, union: 100 }, /outside the image/],
    ['a file of 2^53 - 1 bytes', { size: 2 ** 53 - 1, union: 0 }, /outside the image/],
    ['inline data that crosses a block', { layout: 2, size: 4000, union: 0 }, /crosses a block/],
    ['an inline file of whole blocks', { layout: 2, size: 8192, union: 0 }, /no partial block/],
    ['a chunk map outside the image', { layout: 4, size: 2 ** 52, union: 0 }, /chunk map/],
    ['a chunk map on another device', { layout: 4, size: 1, union: 0x20 }, /another device/],
    ['an unknown chunk format', { layout: 4, size: 1, union: 0x80 }, /chunk format/],
    ['a compressed file', { layout: 3, size: 1 }, /compressed/],
    ['a layout of the future', { layout: 7 }, /compressed/],
    ['no links', { links: 0 }, /no links/],
    ['two links that are one', { links: 2 }, /has 1 links but its inode counts 2/],
    ['an unknown type', { mode: 0o030644 }, /unknown type/],
    ['too many nanoseconds', { mtimeNanoseconds: 1e9 }, /nanoseconds/],
    ['xattrs that are zeros', { xattrCount: 200 }, /xattrs of inode 44 are damaged/],
    ['xattrs larger than the image', { xattrCount: 0xffff }, /overlap/],
    [
      'a directory that is a file of chunks',
      { mode: 0o040755, layout: 4, size: 27, union: 0, links: 2 },
      /listed as file/,
    ],
    ['a bare xattr header', { xattrCount: 1 }, /xattrs/],
  ])('%s', (_, core, message) => {
    const image = craft({
      [root]: {
        ...directory,
        entries: [
          ['.', root],
          ['..', root],
          ['f', 44],
        ],
      },
      44: { mode: 0o100644, layout: 0, size: 0, links: 1, ...core },
    })
    // Another device: the entry behind the inode names device 1.
    resealed(image, () => image.writeUInt32LE(0x10000, 44 * 32 + 64))
    expect(() => open(image).verify()).toThrow(message)
    expect(() => open(image).verify()).toThrow(expect.objectContaining({ code: 'EROFS_INVALID' }))
  })

  test('a directory made of chunks, which could repeat without end', () => {
    const image = craft({ [root]: { ...directory, layout: 4, size: 2 ** 30, union: 0 } })
    expect(() => [...open(image).list(open(image).root())]).toThrow(/made of chunks/)
  })

  test('a directory that counts one link', () => {
    const image = craft({
      [root]: {
        ...directory,
        links: 1,
        entries: [
          ['.', root],
          ['..', root],
        ],
      },
    })
    expect(() => open(image).verify()).toThrow(/has 2 links but its inode counts 1/)
  })

  test.each<[string, number, Buffer, RegExp]>([
    ['a link target of 4096 bytes', 4096, Buffer.alloc(4096, 'x'), /4096 bytes/],
    ['no link target', 0, Buffer.alloc(0), /0 bytes/],
    ['a NUL in a link target', 3, Buffer.from('a\0b'), /NUL/],
  ])('%s', (_, size, target, message) => {
    const image = craft({
      [root]: {
        ...directory,
        entries: [
          ['.', root],
          ['..', root],
          ['l', 44],
        ],
      },
      44: { mode: 0o120777, layout: 0, size, union: 1, links: 1 },
    })
    target.copy(image, 4096)
    expect(() => open(image).verify()).toThrow(message)
  })

  test.each<[string, string]>([
    ['an ACL with a rest of a name', '01020100' + '61620000'],
    ['a user xattr without a name', '00010400' + '61620000'],
    ['an unknown namespace', '01050100' + '61620000'],
    ['a value that goes on behind the area', '01010500' + '61620000'],
    ['a NUL in a name', '02010100' + '61000000'],
    ['the same name twice', '01010000' + '61000000' + '01010000' + '61000000'],
  ])('xattrs: %s', (_, entries) => {
    expect(() => open(withXattrArea(Buffer.from('00'.repeat(12) + entries, 'hex'))).verify()).toThrow(/xattrs/)
  })

  test('xattrs: the sound one is read', () => {
    const reader = open(withXattrArea(Buffer.from(`${'00'.repeat(12)}0101010061620000`, 'hex')))
    expect(reader.xattrs(reader.root())).toEqual([{ name: 'user.a', value: Buffer.from('b') }])
  })

  test('shared xattrs that overlap, so that a few bytes stand for megabytes', () => {
    // Wherever one starts it reads: a name of 4 bytes in `user.`, a value of 1,000 bytes.
    const area = Buffer.alloc(12 + 4 * 20)
    area.writeUInt8(20, 4)
    for (let index = 0; index < 20; index++) area.writeUInt32LE(1024 + index, 12 + index * 4)
    const image = withXattrArea(area)
    for (let at = 4096; at < 8192; at += 4) image.writeUInt32LE(0x03e80104, at)
    expect(() => open(image).verify()).toThrow(/shared xattrs overlap/)
  })

  function withXattrArea(area: Buffer): Buffer {
    const image = craft({
      [root]: { ...directory, layout: 0, union: 1, xattrCount: (area.length - 12) / 4 + 1, size: 27 },
    })
    area.copy(image, root * 32 + 64)
    encodeDirectoryBlock(
      [
        { name: '.', nid: root, kind: 'directory' },
        { name: '..', nid: root, kind: 'directory' },
      ],
      27,
    ).copy(image, 4096)
    sealFirstBlock(image)
    return image
  }

  test('a hole of petabytes is readable bit by bit but not at once', () => {
    const image = craft({
      [root]: {
        ...directory,
        entries: [
          ['.', root],
          ['..', root],
          ['f', 44],
        ],
      },
      44: { mode: 0o100644, layout: 4, size: 2 ** 42, union: 31, links: 1 },
    })
    image.writeUInt32LE(0xffffffff, 44 * 32 + 64)
    const reader = open(image)
    const file = reader.lookup('f')
    if (file === undefined) throw new Error('no f')
    expect(reader.readFile(file, 2 ** 41, 10)).toEqual(Buffer.alloc(10))
    expect(() => reader.readFile(file)).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }))
  })

  test('thousands of directories that share one large body do not multiply the work', () => {
    // Every inode of block 1 on is an extended directory whose content is the whole image.
    const image = Buffer.alloc(1 << 20)
    craft({
      [root]: {
        ...directory,
        entries: [
          ['.', root],
          ['..', root],
          ['a', 128],
        ],
      },
    }).copy(image)
    image.writeUInt32LE(image.length / 4096, 1024 + 36)
    for (let nid = 128; nid < image.length / 32; nid += 2) {
      encodeInodeCore(image.subarray(nid * 32), {
        ...blank,
        extended: true,
        mode: 0o040755,
        links: 2,
        size: image.length,
        union: 0,
      })
    }
    sealFirstBlock(image)
    expect(() => open(image).verify()).toThrow(expect.objectContaining({ code: 'EROFS_INVALID' }))
  })
})

const kindsByName: Record<string, Kind> = { f: 'file', l: 'symlink' }

interface Crafted extends Partial<InodeCore> {
  /** Content of a directory: `f` is a file, `l` a symlink, every other name a directory. */
  readonly entries?: [string, number][]
}

const blank: InodeCore = {
  extended: true,
  layout: 0,
  xattrCount: 0,
  mode: 0,
  links: 1,
  size: 0,
  union: 0,
  ino: 1,
  uid: 0,
  gid: 0,
  mtimeSeconds: 0,
  mtimeNanoseconds: 0,
}

/** An image of two blocks with exactly these inodes, by nid. */
function craft(inodes: Record<number, Crafted>): Buffer {
  const image = Buffer.alloc(8192)
  const count = Object.keys(inodes).length
  encodeSuperblock({
    rootNid: 36,
    inodes: count,
    epochSeconds: 0,
    epochNanoseconds: 0,
    blocks: 2,
    uuid: Buffer.alloc(16),
    kind: {},
  }).copy(image, 1024)
  for (const [nid, { entries, ...core }] of Object.entries(inodes)) {
    const at = Number(nid) * 32
    const dirents = (entries ?? []).map(([name, target]) => ({
      name,
      nid: target,
      kind: kindsByName[name] ?? 'directory',
    }))
    const size = dirents.reduce((sum, { name }) => sum + 12 + name.length, 0)
    encodeInodeCore(image.subarray(at), { ...blank, ...core, size: entries === undefined ? (core.size ?? 0) : size })
    if (entries !== undefined) encodeDirectoryBlock(dirents, size).copy(image, at + 64)
  }
  sealFirstBlock(image)
  return image
}

/** Asks a reader for all that it can tell; anything thrown must be a Problem. */
function readEverything(image: Buffer): void {
  const attempts: ((reader: ErofsReader) => unknown)[] = [
    (reader) => reader.verify(),
    (reader) => [...bytesOfAllFiles(reader, image)],
    (reader) =>
      [...reader.walk()].map(({ inode }) => [reader.xattrs(inode), inode.kind === 'symlink' && reader.readlink(inode)]),
    (reader) => reader.lookup('a/b'),
  ]
  for (const attempt of attempts) {
    try {
      attempt(open(image))
    } catch (error) {
      if (!isProblem(error)) throw error
    }
  }
}

function* bytesOfAllFiles(reader: ErofsReader, image: Buffer): Generator<number> {
  const bytesOf = bytesIn(image)
  for (const { inode } of reader.walk()) {
    if (inode.kind === 'file') yield reader.readFile(inode, Math.max(0, inode.size - 100_000)).length
  }
  for (const [, node] of reader.tree().children) {
    if (node.kind === 'file' && node.size < 1e6) yield bytesOf(node).length
  }
}

function resealed(image: Buffer, damage: () => void): void {
  damage()
  sealFirstBlock(image)
}

function open(image: Buffer): ErofsReader {
  return ErofsReader.open((offset, length) => image.subarray(offset, offset + length), image.length)
}
