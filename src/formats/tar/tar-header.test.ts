import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { readTar } from '../../../test/support/read-tar.ts'
import { type ArbitraryMember, tarMembers } from '../../../test/support/tar-entries.ts'
import { isProblem } from '../../base/index.ts'
import { tarEnd, tarHeader, tarPadding, type WritableEntry } from './tar-header.ts'

function writeTar(members: readonly { readonly entry: WritableEntry; readonly content: Buffer }[]): Buffer {
  const parts = members.flatMap(({ entry, content }) => [tarHeader(entry), content, tarPadding(content.length)])
  return Buffer.concat([...parts, tarEnd()])
}

test('what is written is read back, however the archive is cut', () => {
  fc.assert(
    fc.property(
      tarMembers(),
      fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 5 }),
      (members, chunks) => {
        const result = readTar(writeTar(members), { chunks })
        expect(result.warnings).toEqual([])
        expect(result.members.map(({ entry, content }) => ({ entry, content }))).toEqual(members)
      },
    ),
  )
})

test('what is written is read back a byte at a time', () => {
  fc.assert(
    fc.property(tarMembers({ maxLength: 2 }), (members: readonly ArbitraryMember[]) => {
      const result = readTar(writeTar(members), { chunks: [1] })
      expect(result.members.map(({ entry, content }) => ({ entry, content }))).toEqual(members)
    }),
    { numRuns: 30 },
  )
})

const file = { path: Buffer.from('etc/passwd'), type: 'file', size: 5, mtimeSeconds: 1_700_000_000 } as const

test('what fits ustar is one block, with every field at its place', () => {
  const header = tarHeader({ ...file, mode: 0o4755, uid: 1000, gid: 0o7777777 })
  const text = header.toString('latin1')
  expect(text.slice(0, 11)).toBe('etc/passwd\0')
  expect(text.slice(100, 148).split('\0')).toEqual(['0004755', '0001750', '7777777', '00000000005', '14524770400', ''])
  expect([text.slice(156, 158), text.slice(257, 265), text.slice(345)]).toEqual([
    '0\0',
    'ustar\x0000',
    '\0'.repeat(167),
  ])
  expect(header.length).toBe(512)
})

test('what does not fit has a PAX header, and only then', () => {
  const path = Buffer.from(`${'d'.repeat(155)}/${'n'.repeat(100)}`)
  expect(tarHeader({ ...file, path }).length).toBe(512)
  expect(tarHeader({ ...file, path: Buffer.concat([path, Buffer.from('n')]) }).length).toBe(1536)
  expect(tarHeader({ ...file, size: 8 ** 11 - 1 }).length).toBe(512)
  expect(tarHeader({ ...file, size: 8 ** 11 }).toString('latin1')).toContain('19 size=8589934592\n')
  expect(tarHeader({ ...file, mtimeSeconds: -2, mtimeNanoseconds: 500_000_000 }).toString('latin1')).toContain(
    '14 mtime=-1.5\n',
  )
  expect(tarHeader({ ...file, uid: 0o10000000 }).toString('latin1')).toContain('15 uid=2097152\n')
})

test('the length of a record counts its own digits', () => {
  for (let length = 70; length < 90; length++) {
    const xattrs = [{ name: 'user.a', value: Buffer.alloc(length, 'v') }]
    const { members } = readTar(Buffer.concat([tarHeader({ path: Buffer.from('f'), type: 'file', xattrs }), tarEnd()]))
    expect(members[0]?.entry.xattrs).toEqual(xattrs)
  }
})

test('a slash at the start is no place to split a name: readers would lose it', () => {
  const path = Buffer.from(`/${'n'.repeat(100)}`)
  expect(readTar(Buffer.concat([tarHeader({ path, type: 'file' }), tarEnd()])).members[0]?.entry.path).toEqual(path)
})

test('a long name that is not UTF-8 is said to be bytes', () => {
  const headerOf = (path: Buffer) => tarHeader({ path, type: 'file' }).toString('latin1')
  expect(headerOf(Buffer.alloc(300, 0xe9))).toContain('21 hdrcharset=BINARY\n')
  expect(headerOf(Buffer.from('é'.repeat(150)))).not.toContain('hdrcharset')
})

test('a directory gets its slash, also when it is the first byte that does not fit', () => {
  for (const length of [1, 99, 100, 256]) {
    const path = Buffer.alloc(length, 'd')
    const header = tarHeader({ path, type: 'directory' })
    expect(readTar(Buffer.concat([header, tarEnd()])).members[0]?.entry).toMatchObject({
      path,
      type: 'directory',
      mode: 0o755,
    })
    expect(header.toString('latin1')).toContain(`${path.toString()}/`)
  }
})

const everything: ArbitraryMember[] = [
  { path: 'dir', type: 'directory' as const },
  { path: 'dir/file', type: 'file' as const, content: 'hello', uid: 3_000_000_000, mtimeNanoseconds: 123_456_789 },
  { path: `${'long/'.repeat(60)}name`, type: 'file' as const, content: 'x'.repeat(1000) },
  { path: 'größe', type: 'symlink' as const, linkTarget: 't'.repeat(150) },
  { path: 'hard', type: 'hardlink' as const, linkTarget: 'dir/file' },
  { path: 'null', type: 'char' as const, major: 1, minor: 3 },
  { path: 'fifo', type: 'fifo' as const },
].map(({ content = '', path, linkTarget = '', ...rest }) => ({
  content: Buffer.from(content),
  entry: {
    mode: 0o640,
    uid: 0,
    gid: 0,
    mtimeSeconds: 86_400,
    mtimeNanoseconds: 0,
    major: 0,
    minor: 0,
    xattrs: rest.type === 'file' ? [{ name: 'user.binary', value: Buffer.from([0, 10, 255]) }] : [],
    ...rest,
    path: Buffer.from(path),
    linkTarget: Buffer.from(linkTarget),
    size: content.length,
  },
}))

test.runIf(needs({ tools: ['tar'] }))('GNU tar lists what is written', () => {
  const options = [
    '--list',
    '--verbose',
    '--numeric-owner',
    '--utc',
    '--full-time',
    '--quoting-style=literal',
    '--xattrs',
  ]
  const environment = { ...process.env, LC_ALL: 'C.UTF-8' }
  const listed = execFileSync('tar', options, {
    input: writeTar(everything),
    env: environment,
    timeout: 30_000,
  }).toString()
  const lines = listed
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/ +/g, ' '))
  expect(lines).toEqual([
    'drw-r----- 0/0 0 1970-01-02 00:00:00 dir/',
    '-rw-r-----* 3000000000/0 5 1970-01-02 00:00:00.123456789 dir/file',
    `-rw-r-----* 0/0 1000 1970-01-02 00:00:00 ${'long/'.repeat(60)}name`,
    `lrw-r----- 0/0 0 1970-01-02 00:00:00 größe -> ${'t'.repeat(150)}`,
    'hrw-r----- 0/0 0 1970-01-02 00:00:00 hard link to dir/file',
    'crw-r----- 0/0 1,3 1970-01-02 00:00:00 null',
    'prw-r----- 0/0 0 1970-01-02 00:00:00 fifo',
  ])
})

test.runIf(needs({ tools: ['tar'] }))('GNU tar gives the contents back', () => {
  const archive = writeTar(everything)
  const content = (path: string) =>
    execFileSync('tar', ['--extract', '--to-stdout', '--', path], { input: archive, timeout: 30_000 })
  expect(content('dir/file').toString()).toBe('hello')
  expect(content(`${'long/'.repeat(60)}name`).toString()).toBe('x'.repeat(1000))
})

test.each<[string, Partial<WritableEntry>]>([
  ['no name', { path: Buffer.alloc(0) }],
  ['a NUL in the name', { path: Buffer.from('a\0b') }],
  ['a slash after a file', { path: Buffer.from('f/') }],
  ['a file with a target', { linkTarget: Buffer.from('t') }],
  ['a symlink without target', { type: 'symlink', size: 0 }],
  ['a NUL in a target', { type: 'symlink', size: 0, linkTarget: Buffer.from('a\0') }],
  ['a directory with content', { type: 'directory' }],
  ['an xattr without name', { xattrs: [{ name: '', value: Buffer.alloc(0) }] }],
  ['a uid that Linux has not', { uid: 2 ** 32 }],
  ['a negative size', { size: -1 }],
  ['half a second in seconds', { mtimeSeconds: 0.5 }],
  ['a billion nanoseconds', { mtimeNanoseconds: 1e9 }],
  ['a device number that Linux has not', { type: 'char', size: 0, minor: 2 ** 20 }],
])('%s is refused', (_, wrong) => {
  expect(() => tarHeader({ ...file, ...wrong })).toThrow(
    expect.toSatisfy((error: unknown) => isProblem(error, 'TAR_INVALID')),
  )
})
