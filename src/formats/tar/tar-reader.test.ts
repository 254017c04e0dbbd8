import { describe, expect, test } from 'vitest'
import { type ReadMember, readTar } from '../../../test/support/read-tar.ts'
import {
  buildTar,
  expandSparse,
  type SparseContent,
  type TarEnding,
  type TarMember,
  type TarPiece,
} from '../../../test/support/tar-builder.ts'
import { digestOf, isProblem, type ProblemCode } from '../../base/index.ts'
import type { TarLimits } from './tar-limits.ts'

/** Reads the archive whole and in awkward chunks, which must make no difference. */
function read(pieces: readonly TarPiece[], ending: TarEnding = {}) {
  const archive = buildTar(pieces, ending)
  const result = readTar(archive)
  for (const chunks of [[1], [511, 2], [513, 7, 1024]]) expectSame(readTar(archive, { chunks }), result)
  return result
}

function expectSame(actual: ReturnType<typeof readTar>, expected: ReturnType<typeof readTar>): void {
  const described = ({ members, warnings }: ReturnType<typeof readTar>) => ({
    warnings,
    members: members.map(({ content, ...rest }) => ({ ...rest, content: digestOf(content) })),
  })
  expect(described(actual)).toEqual(described(expected))
}

function readOne(member: TarMember): ReadMember {
  const { members, warnings } = read([member, { path: 'next', content: 'next' }])
  expect(warnings).toEqual([])
  const [first, next] = members
  expect([members.length, next?.content.toString()]).toEqual([2, 'next'])
  if (first === undefined) throw new Error('no member')
  return first
}

const entryOf = (member: TarMember) => readOne(member).entry
const names = (pieces: readonly TarPiece[], ending: TarEnding = {}) =>
  read(pieces, ending).members.map(({ entry }) => entry.path.toString())

function expectRefused(
  pieces: readonly TarPiece[],
  expected: { code?: ProblemCode; says: RegExp; limits?: Partial<TarLimits>; ending?: TarEnding },
) {
  const archive = buildTar(pieces, expected.ending ?? {})
  const { code = 'TAR_INVALID', limits = {} } = expected
  for (const chunks of [[archive.length], [1], [700]]) {
    const attempt = () => readTar(archive, { chunks, limits })
    expect(attempt).toThrow(expected.says)
    expect(attempt).toThrow(expect.toSatisfy((error: unknown) => isProblem(error, code)))
  }
}

describe('types', () => {
  test('every type of file is known', () => {
    const { members } = read([
      { path: 'd', type: 'directory', mode: 0o1777 },
      { path: 'f', content: 'hello', mode: 0o4755, uid: 1, gid: 2, mtime: 1_700_000_000 },
      { path: 'h', type: 'hardlink', linkTarget: 'f' },
      { path: 's', type: 'symlink', linkTarget: '../../etc' },
      { path: 'c', type: 'char', major: 5, minor: 1 },
      { path: 'b', type: 'block', major: 0xfff, minor: 0xfffff },
      { path: 'p', type: 'fifo' },
    ])

    expect(members.map(({ entry }) => [entry.path.toString(), entry.type])).toEqual([
      ['d', 'directory'],
      ['f', 'file'],
      ['h', 'hardlink'],
      ['s', 'symlink'],
      ['c', 'char'],
      ['b', 'block'],
      ['p', 'fifo'],
    ])
    expect(members.map(({ entry }) => entry.linkTarget.toString())).toEqual(['', '', 'f', '../../etc', '', '', ''])
    expect(members[0]?.entry.mode).toBe(0o1777)
    expect(members[1]?.entry).toMatchObject({ mode: 0o4755, uid: 1, gid: 2, size: 5, mtimeSeconds: 1_700_000_000 })
    expect(members[1]?.content.toString()).toBe('hello')
    expect(members.map(({ entry }) => [entry.major, entry.minor]).slice(4, 6)).toEqual([
      [5, 1],
      [0xfff, 0xfffff],
    ])
  })

  test('a contiguous file (7) is a file', () => {
    const { entry, content } = readOne({ path: 'f', typeflag: '7', content: 'abc' })
    expect([entry.type, content.toString()]).toEqual(['file', 'abc'])
  })

  test('a NUL for a type is a file, or a directory when the name ends with a slash', () => {
    expect(entryOf({ path: 'f', typeflag: '\0' })).toMatchObject({ type: 'file', path: Buffer.from('f') })
    expect(entryOf({ path: 'd/', typeflag: '\0' })).toMatchObject({ type: 'directory', path: Buffer.from('d') })
    expect(entryOf({ path: 'f/', typeflag: '0' })).toMatchObject({ type: 'file' })
  })

  test('a GNU directory with a list of names (D) is a directory', () => {
    expect(entryOf({ path: 'd/', typeflag: 'D', content: 'Ya\0Nb\0\0' })).toMatchObject({ type: 'directory', size: 0 })
  })

  test.each(['V', 'M', 'N', 'A', '?', '\xff'])(
    'type %s is passed over, body and extensions too, and warned about',
    (typeflag) => {
      const { members, warnings } = read([
        { path: 'odd', typeflag, content: 'x'.repeat(700), pax: [['path', 'longer']], format: 'pax' },
        { path: 'next', content: 'y' },
      ])
      expect(members.map(({ entry, content }) => [entry.path.toString(), content.toString()])).toEqual([['next', 'y']])
      expect(warnings).toEqual([expect.stringMatching(/longer.*not kept/)])
    },
  )

  test('device numbers of what is no device do not count, whatever is there', () => {
    const patch = (header: Buffer) => void header.write('garbage', 329)
    expect(entryOf({ path: 'f', patch })).toMatchObject({ type: 'file', major: 0, minor: 0 })
    expectRefused([{ path: 'dev/c', type: 'char', patch }], { says: /dev\/c.*major device number/ })
  })

  test('device numbers that Linux has not are refused', () => {
    expectRefused([{ path: 'c', type: 'char', major: 0x1000 }], { says: /major device number 4096/ })
    expectRefused([{ path: 'c', type: 'block', minor: 0x100000 }], { says: /minor device number/ })
  })
})

describe('a body where none should be', () => {
  const sized = { path: 'h', type: 'hardlink', linkTarget: 'f' } as const

  test('a hard link that states a size and has no body', () => {
    const pieces = [
      { path: 'f', content: 'abc' },
      { ...sized, declaredSize: 1000, format: 'ustar' as const },
      { path: 'g' },
    ]
    expect(names(pieces)).toEqual(['f', 'h', 'g'])
    expect(names(pieces.slice(0, 2))).toEqual(['f', 'h'])
    expect(names(pieces.slice(0, 2), { endBlocks: 0 })).toEqual(['f', 'h'])
  })

  test.each([1, 511, 512, 513, 5000])('a hard link with a body of %d bytes', (bytes) => {
    const { members, warnings } = read([
      { ...sized, content: Buffer.alloc(bytes, 'x') },
      { path: 'next', content: 'y' },
    ])
    expect(members.map(({ entry, content }) => [entry.path.toString(), entry.size, content.toString()])).toEqual([
      ['h', 0, ''],
      ['next', 1, 'y'],
    ])
    expect(warnings).toEqual([expect.stringMatching(new RegExp(`h.*${bytes} bytes.*not kept`))])
  })

  test.each(['directory', 'symlink', 'char', 'fifo'] as const)('a %s with a body', (type) => {
    const link = type === 'symlink' ? { linkTarget: 't' } : {}
    expect(names([{ path: 'odd', type, ...link, content: 'x'.repeat(600) }, { path: 'next' }])).toEqual(['odd', 'next'])
    expect(names([{ path: 'odd', type, ...link, declaredSize: 4096 }, { path: 'next' }])).toEqual(['odd', 'next'])
  })

  test('once a header has come, what follows it is no body of the member before', () => {
    expectRefused([{ ...sized, declaredSize: 512, format: 'ustar' }, { path: 'g' }, { raw: Buffer.alloc(512, 'x') }], {
      says: /no header follows g/,
    })
  })

  test('a body that is cut off', () => {
    expectRefused([{ ...sized, content: 'x'.repeat(2000), truncateBodyTo: 1024 }], {
      says: /member h .*cut off/,
      ending: { endBlocks: 0 },
    })
  })

  test('a body that begins with zeros is not taken for the end', () => {
    expectRefused([{ ...sized, content: Buffer.concat([Buffer.alloc(512), Buffer.alloc(512, 'x')]) }], {
      says: /goes on/,
    })
  })
})

describe('names', () => {
  const long = `${'d'.repeat(90)}/${'e'.repeat(120)}/${'f'.repeat(120)}`

  test.each([
    ['ustar, in two parts', { path: `${'p'.repeat(150)}/${'n'.repeat(99)}`, format: 'ustar' }],
    ['ustar, of 100 bytes', { path: 'n'.repeat(100), format: 'ustar' }],
    ['ustar, of 255 bytes and a slash', { path: `${'p'.repeat(155)}/${'n'.repeat(100)}`, format: 'ustar' }],
    ['GNU', { path: long, format: 'gnu' }],
    ['PAX', { path: long, format: 'pax' }],
    ['v7', { path: 'n'.repeat(99), format: 'v7' }],
  ] as const)('%s', (_, member) => {
    expect(entryOf(member).path.toString()).toBe(member.path)
  })

  test.each(['gnu', 'pax'] as const)('long targets of links in %s', (format) => {
    for (const type of ['hardlink', 'symlink'] as const) {
      expect(entryOf({ path: 'l', type, linkTarget: long, format }).linkTarget.toString()).toBe(long)
    }
  })

  test('a long name and a long target at once, in either order', () => {
    const { members } = read([
      { path: `${long}/x`, type: 'symlink', linkTarget: long, format: 'gnu' },
      { path: 'short' },
    ])
    expect(members.map(({ entry }) => [entry.path.toString(), entry.linkTarget.toString()])).toEqual([
      [`${long}/x`, long],
      ['short', ''],
    ])
  })

  test('bytes that are not UTF-8 are kept', () => {
    const path = Buffer.from([0x6e, 0xff, 0xfe, 0x80])
    for (const format of ['v7', 'ustar', 'gnu', 'pax'] as const) expect(entryOf({ path, format }).path).toEqual(path)
    const longer = Buffer.concat([path, Buffer.alloc(200, 0xe9)])
    for (const format of ['gnu', 'pax'] as const) expect(entryOf({ path: longer, format }).path).toEqual(longer)
    expect(entryOf({ path: longer, pax: [['hdrcharset', 'BINARY']] }).path).toEqual(longer)
  })

  test('dots and slashes stay as they are, but for those at the end', () => {
    const paths = ['/abs/f', './f', '../evil', 'a//b', 'a/./b', '.', '..']
    expect(names(paths.map((path) => ({ path })))).toEqual(paths)
    expect(
      names([
        { path: './', type: 'directory' },
        { path: '/', type: 'directory' },
        { path: 'd//', type: 'directory' },
      ]),
    ).toEqual(['.', '/', 'd'])
  })

  test('GNU headers have no prefix: what is there are times', () => {
    const withTimes = (header: Buffer) => {
      header.write('14000000000', 345)
      header.write('14000000001', 357)
    }
    expect(entryOf({ path: 'f', format: 'gnu', patch: withTimes }).path.toString()).toBe('f')
  })

  test('Go before 1.8 wrote a prefix into GNU headers', () => {
    const patch = (header: Buffer) => void header.write('var/lib/docker/some/where', 345)
    expect(entryOf({ path: 'f', format: 'gnu', patch }).path.toString()).toBe('var/lib/docker/some/where/f')
  })

  test('star keeps times at the end of the prefix', () => {
    const patch = (header: Buffer) => {
      header.write('some/prefix', 345)
      header.write('14000000000\x0014000000001\0', 476)
      header.write('tar\0', 508)
    }
    expect(entryOf({ path: 'f', format: 'ustar', patch }).path.toString()).toBe('some/prefix/f')
  })

  test('no name, no target', () => {
    expectRefused([{ path: '' }], { says: /no name/ })
    expectRefused([{ path: 'l', type: 'symlink' }], { says: /member l .*no link target/ })
    expectRefused([{ path: 'l', type: 'hardlink' }], { says: /member l .*no link target/ })
  })

  test('a NUL within a name of PAX is refused: other readers would cut the name', () => {
    expectRefused([{ path: 'f', pax: [['path', 'a\0b']] }], { says: /path holds a NUL/ })
    expectRefused([{ path: 'f', type: 'symlink', pax: [['linkpath', 'a\0']] }], { says: /linkpath holds a NUL/ })
  })
})

describe('numbers', () => {
  test('base-256, for all numbers', () => {
    const member = {
      path: 'c',
      type: 'char',
      uid: 3_000_000_000,
      gid: 2_500_000,
      mtime: -86_400,
      major: 8,
      minor: 300,
    } as const
    for (const format of ['gnu', 'ustar'] as const) {
      expect(entryOf({ ...member, base256: true, format })).toMatchObject({
        uid: 3_000_000_000,
        gid: 2_500_000,
        mtimeSeconds: -86_400,
        mode: 0o600,
        major: 8,
        minor: 300,
      })
    }
    const { content } = readOne({ path: 'f', base256: true, content: 'x'.repeat(1000) })
    expect(content.length).toBe(1000)
  })

  test.each([
    ['octal with spaces', '   1750 \0', 1000],
    ['octal without end', '00001750', 1000],
    ['nothing', '\0\0\0\0\0\0\0\0', 0],
    ['spaces', '        ', 0],
    ['octal, a NUL and then junk', '1750\0xyz', 1000],
  ])('%s', (_, field, uid) => {
    expect(entryOf({ path: 'f', patch: (header) => void header.write(field, 108, 'latin1') }).uid).toBe(uid)
  })

  test.each([
    ['a digit that is not octal', '0000188\0'],
    ['a minus', '-000001\0'],
    ['hexadecimal', '0x00001\0'],
  ])('%s is refused', (_, field) => {
    expectRefused([{ path: 'some/file', patch: (header) => void header.write(field, 108, 'latin1') }], {
      says: /some\/file.*uid is not a number/,
    })
  })

  test('what is negative and cannot be, or larger than Linux has, is refused', () => {
    expectRefused([{ path: 'f', base256: true, uid: -1 }], { says: /uid -1/ })
    expectRefused([{ path: 'f', base256: true, gid: 2 ** 32 }], { says: /gid 4294967296/ })
    expectRefused([{ path: 'f', base256: true, declaredSize: -1 }], { says: /size is negative/ })
    expectRefused([{ path: 'f', pax: [['size', '-1']] }], { says: /size is not a number/ })
    expectRefused([{ path: 'f', pax: [['uid', '1e3']] }], { says: /uid is not a number/ })
    const huge = (header: Buffer) => void header.fill(0xff, 125, 136).fill(0x80, 124, 125)
    expectRefused([{ path: 'f', patch: huge }], { says: /size .*too large/ })
  })

  test('only twelve bits of the mode are kept', () => {
    expect(entryOf({ path: 'f', mode: 0o104755 }).mode).toBe(0o4755)
  })
})

describe('PAX', () => {
  test('records win over the header, and over GNU long names', () => {
    const pax: TarMember['pax'] = [
      ['path', 'pax/name'],
      ['uid', '70000000'],
      ['gid', '80000000'],
      ['mtime', '12.5'],
      ['size', '3'],
    ]
    const { entry, content } = readOne({
      path: 'n'.repeat(200),
      format: 'gnu',
      content: 'abc',
      declaredSize: 0,
      uid: 1,
      pax,
    })
    expect(entry).toMatchObject({
      uid: 70_000_000,
      gid: 80_000_000,
      size: 3,
      mtimeSeconds: 12,
      mtimeNanoseconds: 500_000_000,
    })
    expect([entry.path.toString(), content.toString()]).toEqual(['pax/name', 'abc'])
  })

  test.each([
    ['1.5', 1, 500_000_000],
    ['-1.5', -2, 500_000_000],
    ['-0.25', -1, 750_000_000],
    ['-1', -1, 0],
    ['-1.0', -1, 0],
    ['0', 0, 0],
    ['-0', 0, 0],
    ['1350244992.023960108', 1_350_244_992, 23_960_108],
    ['7.', 7, 0],
    ['1.9999999999', 1, 999_999_999],
    ['-1.0000000001', -2, 999_999_999],
    ['-1.9999999999', -2, 0],
    ['253402300800', 253_402_300_800, 0],
  ])('mtime %s', (text, seconds, nanoseconds) => {
    expect(entryOf({ path: 'f', pax: [['mtime', text]] })).toMatchObject({
      mtimeSeconds: seconds,
      mtimeNanoseconds: nanoseconds,
    })
  })

  test.each(['.5', '1,5', '+1', '1e3', 'now', '--1', '99999999999999999999'])('mtime %s is refused', (text) => {
    expectRefused([{ path: 'f', pax: [['mtime', text]] }], { says: /member f .*mtime/ })
  })

  test('global records hold until they are replaced, and a member may take one back', () => {
    const { members } = read([
      { path: 'before', uid: 7 },
      {
        paxGlobal: [
          ['uid', '1000'],
          ['mtime', '5'],
          ['comment', 'a commit'],
        ],
      },
      { path: 'one', uid: 7 },
      { path: 'own', uid: 7, pax: [['uid', '2000']] },
      { path: 'taken-back', uid: 7, pax: [['uid', '']] },
      { paxGlobal: [['uid', '']] },
      { path: 'after', uid: 7 },
    ])
    expect(members.map(({ entry }) => [entry.path.toString(), entry.uid, entry.mtimeSeconds])).toEqual([
      ['before', 7, 0],
      ['one', 1000, 5],
      ['own', 2000, 5],
      ['taken-back', 7, 5],
      ['after', 7, 5],
    ])
  })

  test('an empty value leaves the field of the header', () => {
    const member = {
      path: 'f',
      uid: 7,
      pax: [
        ['path', ''],
        ['uid', ''],
        ['mtime', ''],
      ] as const,
      mtime: 9,
    }
    expect(entryOf(member)).toMatchObject({ path: Buffer.from('f'), uid: 7, mtimeSeconds: 9 })
  })

  test('the last of two records counts', () => {
    expect(
      entryOf({
        path: 'f',
        pax: [
          ['uid', '1'],
          ['uid', '2'],
        ],
      }).uid,
    ).toBe(2)
  })

  test('records without a length that fits are refused', () => {
    for (const paxBody of [
      '5 a=b\n',
      '7 a=b\n',
      '6 a=bc',
      'x a=b\n',
      '06a=b\n',
      ' 6 a=b\n',
      '6 a=b\n\0\0',
      '99999999999 a=b\n',
      '4 =\n',
      '6  =b\n\n',
      '5 =b\n',
      '6 abc\n',
    ]) {
      expectRefused([{ path: 'some/file', paxBody }], { says: /record of the PAX header/ })
    }
    expect(entryOf({ path: 'f', paxBody: '8 uid=7\n013 comment=\n' }).uid).toBe(7)
  })

  test('a header whose member is not there is refused', () => {
    const header = buildTar([{ path: 'f', pax: [['uid', '1']] }], { endBlocks: 0 }).subarray(0, 1024)
    expectRefused([{ raw: header }], { says: /extension header whose member is not there/ })
    expectRefused([{ raw: header }], { says: /extension header whose member is not there/, ending: { endBlocks: 0 } })
    expect(names([{ path: 'f' }, { paxGlobal: [['comment', 'last']] }])).toEqual(['f'])
  })

  test('of two headers the second counts, with a warning', () => {
    const first = buildTar(
      [
        {
          path: 'f',
          pax: [
            ['uid', '1'],
            ['gid', '1'],
          ],
        },
      ],
      { endBlocks: 0 },
    ).subarray(0, 1024)
    const { members, warnings } = read([{ raw: first }, { path: 'f', pax: [['uid', '2']] }])
    expect(members[0]?.entry).toMatchObject({ uid: 2, gid: 0 })
    expect(warnings).toEqual([expect.stringMatching(/two PAX headers/)])
  })

  test('what is not kept is said once for all members', () => {
    const pax = [
      ['SCHILY.acl.access', 'user::rw-'],
      ['VENDOR.thing', 'x'],
      ['atime', '1'],
      ['LIBARCHIVE.creationtime', '1'],
    ] as const
    const { warnings } = read([
      { path: 'a', pax },
      { path: 'b', pax },
    ])
    expect(warnings).toEqual([expect.stringMatching(/SCHILY\.acl\.access/), expect.stringMatching(/VENDOR\.thing/)])
  })

  test('Solaris wrote X for x', () => {
    const bytes = buildTar([{ path: 'f', pax: [['uid', '5']] }])
    bytes[156] = 'X'.charCodeAt(0)
    bytes.write((Number.parseInt(bytes.toString('latin1', 148, 154), 8) - 32).toString(8).padStart(6, '0'), 148)
    expect(readTar(bytes).members[0]?.entry.uid).toBe(5)
  })
})

describe('xattrs', () => {
  const binary = Buffer.from([1, 0, 0, 2, 0x0a, 0xff, 0, 0x3d, 0x0a])

  test('values are bytes: NULs, newlines and all', () => {
    const xattrs = { 'security.capability': binary, 'user.text': 'öä', 'user.empty': '' }
    expect(entryOf({ path: 'f', xattrs }).xattrs).toEqual([
      { name: 'security.capability', value: binary },
      { name: 'user.text', value: Buffer.from('öä') },
      { name: 'user.empty', value: Buffer.alloc(0) },
    ])
  })

  test('names are bytes too', () => {
    const key = Buffer.concat([Buffer.from('SCHILY.xattr.user.'), Buffer.from([0xff, 0xe9])])
    expect(entryOf({ path: 'f', pax: [[key, 'v']] }).xattrs).toEqual([
      { name: 'user.\xff\xe9', value: Buffer.from('v') },
    ])
  })

  test('libarchive keeps the name URL-encoded and the value in base64, with or without padding', () => {
    const pax = [
      ['LIBARCHIVE.xattr.user.a%20b%3d', binary.toString('base64').replace(/=+$/, '')],
      ['LIBARCHIVE.xattr.user.p', 'YQ=='],
    ] as const
    expect(entryOf({ path: 'f', pax }).xattrs).toEqual([
      { name: 'user.a b=', value: binary },
      { name: 'user.p', value: Buffer.from('a') },
    ])
  })

  test('an xattr in both forms is one xattr', () => {
    const pax = [
      ['SCHILY.xattr.user.x', binary],
      ['LIBARCHIVE.xattr.user.x', binary.toString('base64')],
    ] as const
    expect(entryOf({ path: 'f', pax }).xattrs).toEqual([{ name: 'user.x', value: binary }])
  })

  test('GNU tar writes = in a name as %3D', () => {
    expect(entryOf({ path: 'f', pax: [['SCHILY.xattr.user.a%3Db%25%41', 'v']] }).xattrs[0]?.name).toBe('user.a=b%%41')
  })

  test('every type of file can have them', () => {
    for (const type of ['directory', 'fifo', 'char'] as const) {
      expect(entryOf({ path: 'x', type, xattrs: { 'user.a': 'b' } }).xattrs).toHaveLength(1)
    }
  })

  test('no name, a NUL in the name, no base64', () => {
    expectRefused([{ path: 'f', pax: [['SCHILY.xattr.', 'v']] }], { says: /member f .*no proper name/ })
    expectRefused([{ path: 'f', pax: [['LIBARCHIVE.xattr.a%00b', 'v']] }], { says: /no proper name/ })
    expectRefused([{ path: 'f', pax: [['SCHILY.xattr.a\0b', 'v']] }], { says: /holds a NUL/ })
    expectRefused([{ path: 'f', pax: [['LIBARCHIVE.xattr.user.a', '!!!']] }], { says: /not base64/ })
  })
})

describe.each(['gnu', '0.0', '0.1', '1.0'] as const)('sparse files, form %s', (form) => {
  const segments = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ offset: 1000 + i * 3000, bytes: `data ${i}`.padEnd(700, '.') }))

  test.each([0, 1, 4, 5, 25, 26, 60])('%d segments', (count) => {
    const sparse: SparseContent = { form, realSize: 200_000, segments: segments(count) }
    const { entry, content, holeBytes } = readOne({ path: 'dir/sparse', sparse, mode: 0o600 })
    expect(entry).toMatchObject({ type: 'file', size: 200_000, mode: 0o600, path: Buffer.from('dir/sparse') })
    expect(content.equals(expandSparse(sparse))).toBe(true)
    expect(holeBytes).toBe(200_000 - count * 700)
  })

  test('no hole at all, a hole at neither end, nothing but nothing', () => {
    for (const sparse of [
      { form, realSize: 600, segments: [{ offset: 0, bytes: 'x'.repeat(600) }] },
      {
        form,
        realSize: 3000,
        segments: [
          { offset: 0, bytes: 'ab' },
          { offset: 2998, bytes: 'yz' },
        ],
      },
      { form, realSize: 0, segments: [] },
      {
        form,
        realSize: 10,
        segments: [
          { offset: 0, bytes: 'abc' },
          { offset: 3, bytes: 'def' },
        ],
      },
    ] satisfies SparseContent[]) {
      expect(readOne({ path: 's', sparse }).content).toEqual(expandSparse(sparse))
    }
  })

  test.each([
    [
      'overlaps',
      [
        { offset: 0, length: 10 },
        { offset: 5, length: 10 },
      ],
      /out of order/,
    ],
    [
      'runs backwards',
      [
        { offset: 50, length: 10 },
        { offset: 5, length: 10 },
      ],
      /out of order/,
    ],
    [
      'passes the end',
      [
        { offset: 0, length: 10 },
        { offset: 995, length: 10 },
      ],
      /out of order/,
    ],
    [
      'has more data than the archive',
      [
        { offset: 0, length: 10 },
        { offset: 20, length: 11 },
      ],
      /21 bytes of data, the archive 20/,
    ],
    ['has less data than the archive', [{ offset: 0, length: 10 }], /10 bytes of data, the archive 20/],
  ])('a map that %s', (_, map, says) => {
    const sparse = { form, realSize: 1000, map, segments: [{ offset: 0, bytes: 'x'.repeat(20) }] }
    expectRefused([{ path: 'dir/sparse', sparse }], { says })
    expectRefused([{ path: 'dir/sparse', sparse }], { says: /member dir\/sparse/ })
  })

  test('a map that is cut off', () => {
    const archive = buildTar([{ path: 's', sparse: { form, realSize: 200_000, segments: segments(60) } }])
    expectRefused([{ raw: archive.subarray(0, archive.length - 1024 - 60 * 700) }], {
      says: /cut off/,
      ending: { endBlocks: 0 },
    })
    expectRefused([{ raw: archive.subarray(0, 1024) }], {
      says: /cut off|whose member is not there/,
      ending: { endBlocks: 0 },
    })
  })

  test('too many segments, too large a map, too large a file', () => {
    const pieces = [{ path: 's', sparse: { form, realSize: 200_000, segments: segments(60) } }]
    expectRefused(pieces, { code: 'LIMIT_EXCEEDED', says: /more than 50 segments/, limits: { maxSparseSegments: 50 } })
    expectRefused(pieces, {
      code: 'LIMIT_EXCEEDED',
      says: /more than 199999 bytes/,
      limits: { maxExpandedBytes: 199_999 },
    })
    if (form === 'gnu' || form === '1.0') {
      expectRefused(pieces, {
        code: 'LIMIT_EXCEEDED',
        says: /map .*more than 512 bytes/,
        limits: { maxSparseMapBytes: 512 },
      })
    }
  })
})

describe('sparse files that are wrong', () => {
  const sparse = { form: '0.1', realSize: 10, segments: [] } as const

  test('an exabyte in one block is refused before anything is given', () => {
    const realSize = 8 ** 11 - 1
    const pieces = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => ({
      path: `bomb${i}`,
      sparse: { form: 'gnu' as const, realSize, segments: [] },
    }))
    expectRefused(pieces, {
      code: 'LIMIT_EXCEEDED',
      says: /bomb\d.*contents of more than/,
      limits: { maxExpandedBytes: 2 ** 30 },
    })
  })

  test.each([
    [
      'a version that is not known',
      [
        ['GNU.sparse.major', '2'],
        ['GNU.sparse.minor', '0'],
        ['GNU.sparse.realsize', '5'],
      ],
      /version 2\.0/,
    ],
    [
      'no size',
      [
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
      ],
      /without its real size/,
    ],
    [
      'a map with half a segment',
      [
        ['GNU.sparse.size', '5'],
        ['GNU.sparse.map', '0,1,2'],
      ],
      /within a segment/,
    ],
    [
      'a map that is no list',
      [
        ['GNU.sparse.size', '5'],
        ['GNU.sparse.map', '0,x'],
      ],
      /not a number/,
    ],
    [
      'an offset without length',
      [
        ['GNU.sparse.size', '5'],
        ['GNU.sparse.offset', '0'],
      ],
      /offset without length/,
    ],
    [
      'two offsets',
      [
        ['GNU.sparse.size', '5'],
        ['GNU.sparse.offset', '0'],
        ['GNU.sparse.offset', '0'],
      ],
      /offset without length/,
    ],
    [
      'a length without offset',
      [
        ['GNU.sparse.size', '5'],
        ['GNU.sparse.numbytes', '0'],
      ],
      /length without offset/,
    ],
    [
      'another count',
      [
        ['GNU.sparse.size', '5'],
        ['GNU.sparse.numblocks', '3'],
        ['GNU.sparse.map', '0,0'],
      ],
      /not as many segments/,
    ],
  ] as const)('%s', (_, pax, says) => {
    expectRefused([{ path: 'dir/f', pax }], { says })
  })

  test('a map of 1.0 that is no list of numbers, or longer than the body', () => {
    const pax = [
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.realsize', '5'],
    ] as const
    expectRefused([{ path: 'f', pax, content: '1\nx\n'.padEnd(512, '\0') }], { says: /not made of numbers/ })
    expectRefused([{ path: 'f', pax, content: '\n'.padEnd(512, '\0') }], { says: /not a number/ })
    expectRefused([{ path: 'f', pax, content: '1\n11111111111111111111\n'.padEnd(512, '\0') }], {
      says: /not made of numbers/,
    })
    expectRefused([{ path: 'f', pax, content: '' }], { says: /longer than its body/ })
    expectRefused([{ path: 'f', pax, content: `1\n0\n${'0'.repeat(600)}` }], { says: /not made of numbers|longer/ })
  })

  test('typeflag S of another tar than GNU', () => {
    expectRefused([{ path: 'f', typeflag: 'S', format: 'ustar' }], { says: /form that is not known/ })
  })

  test('records of a sparse file in a global header are warned about', () => {
    const { members, warnings } = read([{ paxGlobal: [['GNU.sparse.size', '10']] }, { path: 'f', content: 'abc' }])
    expect(members[0]?.content.toString()).toBe('abc')
    expect(warnings).toEqual([expect.stringMatching(/GNU\.sparse\.size/)])
  })

  test('records of a sparse file before what is no file do not matter', () => {
    expect(entryOf({ path: 'd', type: 'directory', pax: [['GNU.sparse.size', String(sparse.realSize)]] }).type).toBe(
      'directory',
    )
  })
})

describe('checksums', () => {
  test('the sum of signed bytes, of historic writers', () => {
    expect(entryOf({ path: Buffer.from('größe'), checksum: 'signed' }).path.toString()).toBe('größe')
  })

  test('a wrong one says after which member', () => {
    expectRefused([{ path: 'good' }, { path: 'bad', checksum: 'wrong' }], { says: /no header follows good.*byte 512/ })
    expectRefused([{ path: 'bad', checksum: 'wrong' }], { says: /not a tar archive/ })
    expectRefused([{ path: 'f', patch: () => undefined }, { raw: Buffer.alloc(512, 'x') }], {
      says: /no header follows f/,
    })
  })
})

describe('the end', () => {
  const pieces = [
    { path: 'a', content: 'x' },
    { path: 'b', content: 'y'.repeat(600) },
  ]

  test.each([0, 1, 2, 20])('%d zero blocks', (endBlocks) => {
    expect(read(pieces, { endBlocks })).toMatchObject({ members: [{}, {}], warnings: [] })
  })

  test('nothing at all is an archive without members', () => {
    expect(read([], { endBlocks: 0 })).toEqual({ members: [], warnings: [] })
  })

  test.each([1, 2, 5])('junk after %d zero blocks is swallowed, and warned about once', (endBlocks) => {
    const { members, warnings } = read(pieces, { endBlocks, trailing: Buffer.alloc(5000, 'junk') })
    expect([members.length, warnings.length]).toEqual([2, 1])
    expect(warnings[0]).toMatch(/not read/)
    expect(read(pieces, { endBlocks, trailing: 'short' }).warnings).toHaveLength(1)
    expect(read(pieces, { endBlocks, trailing: Buffer.alloc(100) }).warnings).toHaveLength(0)
  })

  test('an archive after an archive is not read, as with every tar', () => {
    const { members, warnings } = read(pieces, { trailing: buildTar([{ path: 'c' }]) })
    expect([members.length, warnings.length]).toEqual([2, 1])
  })

  test('members after a single zero block would be lost, and are refused', () => {
    expectRefused(pieces, {
      says: /goes on after a zero block/,
      ending: { endBlocks: 1, trailing: buildTar([{ path: 'c' }]) },
    })
  })

  test('padding may be missing, content may not', () => {
    const last = { path: 'dir/last', content: 'x'.repeat(700) }
    for (const truncateBodyTo of [700, 800, 1023]) {
      const bytes = Buffer.concat([
        buildTar([{ ...last, truncateBodyTo: 700 }], { endBlocks: 0 }),
        Buffer.alloc(truncateBodyTo - 700),
      ])
      expect(readTar(bytes).members[0]?.content.length).toBe(700)
    }
    for (const truncateBodyTo of [0, 1, 512, 699]) {
      expectRefused([{ ...last, truncateBodyTo }], { says: /member dir\/last .*cut off/, ending: { endBlocks: 0 } })
    }
  })

  test('an archive that is cut off anywhere is refused, or gives what was whole', () => {
    const archive = buildTar([
      ...pieces,
      { path: 'p'.repeat(200), content: 'z' },
      { path: 'q'.repeat(200), format: 'gnu', content: 'z' },
    ])
    const whole = readTar(archive).members
    for (let length = 0; length < archive.length; length += 37) {
      const members = readUnlessRefused(archive.subarray(0, length))
      if (members !== undefined) expect(members).toEqual(whole.slice(0, members.length))
    }
  })

  test('a header that is cut off', () => {
    expectRefused([{ path: 'a' }, { raw: buildTar([{ path: 'b' }]).subarray(0, 300) }], {
      says: /no header follows a/,
      ending: { endBlocks: 0 },
    })
    expectRefused([{ raw: Buffer.from('hello') }], { says: /not a tar archive/, ending: { endBlocks: 0 } })
  })
})

function readUnlessRefused(archive: Buffer): readonly ReadMember[] | undefined {
  try {
    return readTar(archive).members
  } catch (error) {
    expect(isProblem(error, 'TAR_INVALID')).toBe(true)
    return undefined
  }
}

describe('limits', () => {
  const code = 'LIMIT_EXCEEDED'

  test('names and targets', () => {
    for (const format of ['pax', 'gnu'] as const) {
      expect(entryOf({ path: 'n'.repeat(4096), format }).path.length).toBe(4096)
      expectRefused([{ path: 'n'.repeat(4097), format }], { code, says: /name has more than 4096 bytes/ })
      expectRefused([{ path: 'l', type: 'symlink', linkTarget: 't'.repeat(4097), format }], {
        code,
        says: /target has more than 4096 bytes/,
      })
    }
  })

  test('extension headers, before they are read', () => {
    const says = /extension header of more than 1048576 bytes/
    const limit = 1 << 20
    for (const typeflag of ['x', 'g', 'L', 'K']) {
      expectRefused([{ path: 'ext', typeflag, declaredSize: limit + 1, format: 'ustar' }], { code, says })
      expectRefused([{ path: 'ext', typeflag, declaredSize: 8 ** 11 - 1, format: 'ustar' }], { code, says })
    }
  })

  test('all global headers together', () => {
    const paxGlobal = (key: string) => ({ paxGlobal: [[key, 'x'.repeat(400)]] as const })
    expect(
      names([paxGlobal('SCHILY.xattr.a'), paxGlobal('SCHILY.xattr.a'), paxGlobal('comment'), { path: 'f' }]),
    ).toEqual(['f'])
    expectRefused(
      [paxGlobal('SCHILY.xattr.a'), paxGlobal('SCHILY.xattr.b'), paxGlobal('SCHILY.xattr.c'), { path: 'f' }],
      {
        code,
        says: /global PAX headers/,
        limits: { maxExtensionBytes: 1000 },
      },
    )
    const many = Array.from({ length: 257 }, (_, i) => [`SCHILY.xattr.${i}`, 'v'] as const)
    expectRefused([{ paxGlobal: many }, { path: 'f' }], { code, says: /more than 256 global PAX records/ })
    expect(names([{ paxGlobal: many.slice(1) }, { path: 'f' }])).toEqual(['f'])
  })

  test('xattrs', () => {
    const xattrs = { 'user.a': 'x'.repeat(500), 'user.b': 'x'.repeat(500) }
    expectRefused([{ path: 'f', xattrs }], {
      code,
      says: /member f .*xattrs .*more than 1000 bytes/,
      limits: { maxXattrBytes: 1000 },
    })
    expect(readTar(buildTar([{ path: 'f', xattrs }]), { limits: { maxXattrBytes: 1012 } }).members).toHaveLength(1)
  })

  test('members', () => {
    const pieces = [{ path: 'a' }, { path: 'b' }, { path: 'c' }]
    expectRefused(pieces, { code, says: /more than 2 members/, limits: { maxEntries: 2 } })
    expect(readTar(buildTar(pieces), { limits: { maxEntries: 3 } }).members).toHaveLength(3)
  })

  test('contents, all together', () => {
    const pieces = [
      { path: 'a', content: 'x'.repeat(600) },
      { path: 'b', content: 'x'.repeat(600) },
    ]
    expectRefused(pieces, {
      code,
      says: /member b .*contents of more than 1199 bytes/,
      limits: { maxExpandedBytes: 1199 },
    })
    expect(readTar(buildTar(pieces), { limits: { maxExpandedBytes: 1200 } }).members).toHaveLength(2)
  })

  test('warnings', () => {
    const { warnings } = read(Array.from({ length: 300 }, (_, i) => ({ path: `odd${i}`, typeflag: 'Z' })))
    expect(warnings).toHaveLength(100)
    expect(warnings.at(-1)).toMatch(/further warnings/)
  })
})

test('entries may be kept: they do not change when the chunks do', () => {
  const { members } = readTar(
    buildTar([{ path: 'a', type: 'symlink', linkTarget: 'target', xattrs: { 'user.a': 'value' } }]),
    { chunks: [512] },
  )
  expect(members[0]?.entry).toMatchObject({
    path: Buffer.from('a'),
    linkTarget: Buffer.from('target'),
    xattrs: [{ name: 'user.a', value: Buffer.from('value') }],
  })
})

test('a problem says in which member it is and where, for programs too', () => {
  const archive = buildTar([{ path: 'good' }, { path: Buffer.from('b\x1b\xff', 'latin1'), pax: [['uid', 'x']] }])
  expect(() => readTar(archive)).toThrow(
    expect.objectContaining({
      code: 'TAR_INVALID',
      data: { member: 'b\\x1b\\xff', offset: 1536 },
      message: expect.stringContaining('b\\x1b\\xff (at byte 1536)'),
    }),
  )
})

test('duplicates come as they are: the last is for the flattener to choose', () => {
  expect(
    names([
      { path: 'a', content: '1' },
      { path: 'a', content: '2' },
    ]),
  ).toEqual(['a', 'a'])
})
