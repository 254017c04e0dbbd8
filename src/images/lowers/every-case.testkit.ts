import fc from 'fast-check'
import { noise } from '../../../test/support/image-builder.ts'
import type { TarMember } from '../../../test/support/tar-builder.ts'

const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
const acl = Buffer.from('0200000001000600ffffffff04000400ffffffff20000400ffffffff', 'hex')
/** Two stretches and some, whose extents begin and end anywhere. */
const longText = Buffer.from(Array.from({ length: 150_000 }, (_, i) => `${i * 7919} is a number\n`).join(''))
const big = noise(200_000, 'big')

/** Every attribute is given, so that the model and the archive cannot differ in what is left out. */
function member(path: string | Buffer, rest: Partial<TarMember> = {}): TarMember {
  return { mode: 0o644, uid: 0, gid: 0, mtime: 1_600_000_000, path, ...rest }
}
const directory = (path: string, rest: Partial<TarMember> = {}) =>
  member(path, { type: 'directory', mode: 0o755, ...rest })
const link = (path: string, linkTarget: string) => member(path, { type: 'hardlink', linkTarget })
const symlink = (path: string, linkTarget: string) => member(path, { type: 'symlink', mode: 0o777, linkTarget })
const sparse = (form: 'gnu' | '0.0' | '0.1' | '1.0') => ({
  sparse: {
    form,
    realSize: 300_000,
    segments: [
      { offset: 8192, bytes: big.subarray(0, 5000) },
      { offset: 200_000, bytes: 'end' },
    ],
  },
})

/** Layers with one of everything. */
export const everyCase: readonly (readonly TarMember[])[] = [
  [
    directory('./', { mode: 0o711, uid: 7, mtime: 1_500_000_000 }),
    directory('bin', { mode: 0o1777 }),
    member('bin/sh', { mode: 0o6755, content: big, xattrs: { 'security.capability': capability } }),
    link('bin/bash', 'bin/sh'),
    member('bin/same', { content: big }),
    member('long-text', { content: longText }),
    member('noise-and-long-text', { content: Buffer.concat([noise(2 ** 21, 'long'), longText.subarray(0, 300_001)]) }),
    member('text', { content: 'all that can be said\n'.repeat(30_000) }),
    member('text-and-noise', { content: Buffer.concat([Buffer.alloc(70_000, 't'), big, Buffer.alloc(10_001, 'u')]) }),
    member('empty'),
    member('one', { content: 'x' }),
    ...[511, 512, 513, 4095, 4096, 4097, 8192].map((size) =>
      member(`size-${size}`, { content: noise(size, `${size}`) }),
    ),
    member('gnu-sparse', { ...sparse('gnu'), format: 'gnu' }),
    ...(['0.0', '0.1', '1.0'] as const).map((form) => member(`pax-sparse-${form}`, sparse(form))),
    member('hole', { sparse: { form: '1.0', realSize: 1 << 20, segments: [] } }),
    member('owner', { uid: 3_000_000_000, gid: 2_500_000 }),
    member('before-1970', { mtime: { seconds: -2, nanoseconds: 500_000_000 } }),
    member('far-future', { mtime: { seconds: 10_413_792_000, nanoseconds: 1 } }),
    member('xattrs', {
      xattrs: { 'user.a': 'abc', 'trusted.b': '', 'system.posix_acl_access': acl, 'user.long': noise(3000) },
    }),
    member(Buffer.from([0x6e, 0xff, 0xfe]), { content: 'not UTF-8' }),
    member('n'.repeat(255), { content: 'long' }),
    member(`${'deep/'.repeat(60)}f`, { content: 'deep' }),
    symlink('lnk', 'real'),
    symlink('out', '../../../../etc'),
    symlink('long-link', 't'.repeat(4000)),
    directory('real'),
    member('real/f', { content: 'f' }),
    member('null', { type: 'char', mode: 0o666, major: 1, minor: 3 }),
    member('gone', { type: 'char', mode: 0, major: 0, minor: 0 }),
    member('disk', { type: 'block', mode: 0o660, major: 259, minor: 300 }),
    member('pipe', { type: 'fifo' }),
    directory('old'),
    member('old/a', { content: noise(9000, 'old') }),
    member('old/b'),
    directory('opaque', { uid: 5 }),
    member('opaque/lower'),
    directory('dir-to-file'),
    member('dir-to-file/x'),
    member('file-to-dir'),
    member('twice', { content: 'first' }),
    member('twice', { content: 'second' }),
  ],
  [
    member('lnk/g', { content: 'through a symlink' }),
    member('out/passwd', { content: 'inside' }),
    link('hard', 'bin/sh'),
    link('kept', 'old/a'),
    link('link-to-link', 'lnk'),
    member('.wh.old'),
    directory('old', { mode: 0o700 }),
    member('old/.wh.a'),
    member('old/c', { content: big }),
    member('opaque/new', { content: 'new' }),
    member('opaque/.wh..wh..opq'),
    member('opaque/newer'),
    member('dir-to-file', { content: 'now a file' }),
    directory('file-to-dir'),
    member('implied/by/this', { content: noise(5000, 'implied') }),
    member('.wh..wh.plnk/1.2'),
    member('.wh.strange/f'),
  ],
  [],
  [
    member('bin/sh', { content: noise(70_000, 'new sh') }),
    member('bin/.wh.same'),
    member('.wh.nothing'),
    directory('bin', { mode: 0o555 }),
    member('one', { content: 'y' }),
    member('.wh.one'),
  ],
]

const name = fc.constantFrom('a', 'b', 'c', 'd', 'é', 'n\xff')
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'))
const attributes = fc.record({
  mode: fc.nat(0o7777),
  uid: fc.constantFrom(0, 1000, 70_000),
  gid: fc.constantFrom(0, 4_000_000_000),
  mtime: fc.record({ seconds: fc.integer({ min: -(2 ** 31), max: 2 ** 33 }), nanoseconds: fc.nat(999_999_999) }),
  xattrs: fc.dictionary(
    fc.constantFrom('user.x', 'security.y', 'trusted.z'),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  ),
})
const content = fc
  .tuple(fc.constantFrom(0, 1, 512, 513, 4096, 4097, 20_000), fc.nat(3))
  .map(([size, seed]) => noise(size, `${seed}`))
const anyMember: fc.Arbitrary<TarMember> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(path, attributes, content).map(([p, a, bytes]) => ({ ...a, path: p, content: bytes })),
  },
  { weight: 3, arbitrary: fc.tuple(path, attributes).map(([p, a]) => ({ ...a, path: p, type: 'directory' as const })) },
  { weight: 1, arbitrary: fc.tuple(path, path).map(([p, t]) => symlink(p, t)) },
  { weight: 1, arbitrary: fc.tuple(path, path).map(([p, t]) => link(p, t)) },
  { weight: 1, arbitrary: path.map((p) => member(p.replace(/[^/]*$/, (last) => `.wh.${last}`))) },
  { weight: 1, arbitrary: path.map((p) => member(`${p}/.wh..wh..opq`)) },
)
/** Small images, most of whose layers change what others brought. */
export const images = fc.array(fc.array(anyMember, { maxLength: 10 }), { minLength: 1, maxLength: 3 })
