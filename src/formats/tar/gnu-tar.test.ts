import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { type ReadMember, readTar } from '../../../test/support/read-tar.ts'
import { buildTar, expandSparse, type SparseContent, type TarMember } from '../../../test/support/tar-builder.ts'

/**
 * Archives that GNU tar makes of a real directory, in every format that it has. The directory is made by GNU tar too, from an archive of the
 * test's own builder: Node cannot make xattrs and devices.
 */
const name = (bytes: string) => Buffer.from(bytes, 'latin1')

/** What every format can say. Sorted, as tar is told to sort. */
const plain: readonly TarMember[] = [
  { path: './d', type: 'directory', mode: 0o1755, mtime: 1_000 },
  { path: './d/empty', mtime: 0 },
  { path: './d/file', content: 'hello\n', mode: 0o640, uid: 1000, gid: 1001, mtime: 1_600_000_000 },
  { path: './d/link', type: 'symlink', linkTarget: '../somewhere/else', mtime: 1_000 },
  { path: './d/name with space, \n and \t', content: 'x'.repeat(512), mtime: 5 },
  { path: './d/setuid', content: Buffer.alloc(10_000, 'set'), mode: 0o6755, mtime: 77 },
  {
    path: './d/zhard',
    type: 'hardlink',
    linkTarget: './d/file',
    mode: 0o640,
    uid: 1000,
    gid: 1001,
    mtime: 1_600_000_000,
  },
]
const nodes: readonly TarMember[] = [
  { path: './e', type: 'directory', mtime: 1_000 },
  { path: './e/block', type: 'block', major: 7, minor: 300, mode: 0o660, mtime: 9 },
  { path: './e/char', type: 'char', major: 1, minor: 3, mode: 0o666, mtime: 9 },
  { path: './e/fifo', type: 'fifo', mtime: 9 },
]
const bytes: readonly TarMember[] = [
  { path: name('./f'), type: 'directory', mtime: 1_000 },
  { path: name('./f/\xc3\xa4\xff\xfe'), content: 'bytes', mtime: 3 },
]
const split: readonly TarMember[] = [
  { path: './g', type: 'directory', mtime: 1_000 },
  { path: `./g/${'p'.repeat(90)}`, type: 'directory', mtime: 1_000 },
  { path: `./g/${'p'.repeat(90)}/${'n'.repeat(90)}`, content: 'split', mtime: 3 },
]
const long: readonly TarMember[] = [
  { path: './h', type: 'directory', mtime: 1_000 },
  { path: './h/a-link', type: 'symlink', linkTarget: 't'.repeat(300), mtime: 3 },
  { path: `./h/${'l'.repeat(250)}`, content: 'long', mtime: 3 },
  { path: './h/old', content: 'old', mtime: -86_401, uid: 3_000_000_000, gid: 2_500_000 },
]
const sparse: SparseContent = {
  form: '1.0',
  realSize: 3 << 20,
  segments: [0, 1, 2, 3, 4, 5, 6].map((i) => ({ offset: (i + 1) * 131_072, bytes: Buffer.alloc(4096, `data${i}`) })),
}
const withHoles: readonly TarMember[] = [
  { path: './i', type: 'directory', mtime: 1_000 },
  { path: './i/sparse', sparse, mtime: 3 },
]
const exact: readonly TarMember[] = [
  { path: './j', type: 'directory', mtime: 1_000, xattrs: { 'user.dir': 'on a directory' } },
  { path: './j/times', content: 't', mtime: { seconds: -2, nanoseconds: 500_000_001 } },
  {
    path: './j/xattrs',
    content: 'x',
    mtime: 3,
    xattrs: {
      'user.a=b%3D': 'odd name',
      'user.binary': Buffer.from([0, 10, 61, 255, 0]),
      'user.empty': '',
      'user.long': 'v'.repeat(300),
    },
  },
]

const formats: readonly {
  readonly name: string
  readonly options: readonly string[]
  readonly members: readonly TarMember[]
}[] = [
  { name: 'v7', options: ['--format=v7'], members: [...plain, ...bytes] },
  { name: 'ustar', options: ['--format=ustar'], members: [...plain, ...nodes, ...bytes, ...split] },
  {
    name: 'oldgnu',
    options: ['--format=oldgnu', '--sparse'],
    members: [...plain, ...nodes, ...bytes, ...split, ...long, ...withHoles],
  },
  {
    name: 'gnu',
    options: ['--format=gnu', '--sparse'],
    members: [...plain, ...nodes, ...bytes, ...split, ...long, ...withHoles],
  },
  ...['0.0', '0.1', '1.0'].map((version) => ({
    name: `posix with sparse ${version}`,
    options: ['--format=posix', '--sparse', `--sparse-version=${version}`, '--xattrs', '--xattrs-include=user.*'],
    members: [...plain, ...nodes, ...bytes, ...split, ...long, ...withHoles, ...exact],
  })),
]

describe.runIf(needs({ root: true, tools: ['tar'] }))('archives of GNU tar', () => {
  let directory = ''
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'cowshed-gnu-tar-'))
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test.each(formats)('$name', ({ options, members }) => {
    const tree = mkdtempSync(join(directory, 'tree-'))
    extract(members, tree)
    const archive = tar(['--create', '--sort=name', ...options, '--blocking-factor=1', '.'], { cwd: tree })
    const { members: found, warnings } = readTar(archive, { chunks: [10_000, 3] })

    expect(warnings).toEqual([])
    expect(found.slice(1).map(described)).toEqual(members.map(expected))
    const sparseMember = found.find(({ entry }) => entry.path.toString() === './i/sparse')
    if (sparseMember !== undefined) expect(sparseMember.holeBytes).toBe((3 << 20) - 7 * 4096)
  })
})

function extract(members: readonly TarMember[], cwd: string): void {
  const options = [
    '--extract',
    '--xattrs',
    '--xattrs-include=*',
    '--same-owner',
    '--same-permissions',
    '--delay-directory-restore',
    '--warning=no-timestamp',
  ]
  tar(options, { cwd, input: buildTar(members) })
}

function tar(args: readonly string[], { cwd, input }: { readonly cwd: string; readonly input?: Buffer }): Buffer {
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' }
  return execFileSync('tar', args, { cwd, env, timeout: 60_000, maxBuffer: 64 << 20, ...(input && { input }) })
}

function described({ entry, content }: ReadMember) {
  const { path, linkTarget, xattrs, ...rest } = entry
  return {
    ...rest,
    path: path.toString('latin1'),
    linkTarget: linkTarget.toString(),
    // The order of a file's xattrs is the filesystem's.
    xattrs: Object.fromEntries([...xattrs].sort().map((xattr) => [xattr.name, xattr.value.toString('latin1')])),
    content: content.toString('latin1'),
  }
}

function expected(member: TarMember): ReturnType<typeof described> {
  const { type = 'file', mtime = 0, path, linkTarget = '' } = member
  const content = member.sparse === undefined ? Buffer.from(member.content ?? '') : expandSparse(member.sparse)
  const time = typeof mtime === 'number' ? { seconds: mtime, nanoseconds: 0 } : mtime
  const modes = { directory: 0o755, symlink: 0o777 } as const
  return {
    path: (typeof path === 'string' ? Buffer.from(path) : path).toString('latin1'),
    type,
    mode: member.mode ?? (type === 'directory' || type === 'symlink' ? modes[type] : 0o644),
    uid: member.uid ?? 0,
    gid: member.gid ?? 0,
    size: content.length,
    mtimeSeconds: time.seconds,
    mtimeNanoseconds: time.nanoseconds,
    linkTarget: linkTarget.toString(),
    major: member.major ?? 0,
    minor: member.minor ?? 0,
    xattrs: Object.fromEntries(
      Object.entries(member.xattrs ?? {}).map(([key, value]) => [key, Buffer.from(value).toString('latin1')]),
    ),
    content: content.toString('latin1'),
  }
}
