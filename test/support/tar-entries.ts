import fc from 'fast-check'
import type { TarEntry } from '../../src/formats/index.ts'

/** Members as a tar can have them, names of any bytes and extremes of all numbers included, for properties. */
export interface ArbitraryMember {
  readonly entry: TarEntry
  readonly content: Buffer
}

export function tarMembers(constraints: fc.ArrayConstraints = { maxLength: 6 }): fc.Arbitrary<ArbitraryMember[]> {
  return fc.array(fc.oneof({ weight: 3, arbitrary: fileMember }, bodilessMember), constraints)
}

const bytes = (constraints: fc.IntArrayConstraints): fc.Arbitrary<Buffer> =>
  fc.uint8Array(constraints).map((array) => Buffer.from(array))
const noNul = (value: Buffer): Buffer => Buffer.from(value.map((byte) => (byte === 0 ? 0x2f : byte)))

/** Lengths around those where a name stops fitting a field, in directories of lengths around those where it splits. */
const name: fc.Arbitrary<Buffer> = fc
  .oneof(
    bytes({ minLength: 1, maxLength: 12 }).map(noNul),
    fc
      .array(fc.integer({ min: 1, max: 160 }), { minLength: 1, maxLength: 4 })
      .map((lengths) => Buffer.from(lengths.map((length) => 'n'.repeat(length)).join('/'))),
    bytes({ minLength: 90, maxLength: 300 }).map(noNul),
  )
  .map((value) => (value.at(-1) === 0x2f ? Buffer.concat([value, Buffer.from('x')]) : value))

const id = fc.oneof(
  fc.constantFrom(0, 1000, 0o7777777, 0o10000000, 0xffff_ffff),
  fc.integer({ min: 0, max: 0xffff_ffff }),
)
const seconds = fc.oneof(fc.constantFrom(0, -1, -2, 0o77777777777, 0o100000000000), fc.integer(), fc.maxSafeInteger())
const nanoseconds = fc.oneof(fc.constantFrom(0, 1, 500_000_000, 999_999_999), fc.integer({ min: 0, max: 999_999_999 }))
const xattr = fc.record({
  name: bytes({ minLength: 1, maxLength: 8 }).map((value) => `user.${noNul(value).toString('latin1')}`),
  value: bytes({ maxLength: 40 }),
})

const attributes = {
  path: name,
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: id,
  gid: id,
  mtimeSeconds: seconds,
  mtimeNanoseconds: nanoseconds,
  xattrs: fc.uniqueArray(xattr, { maxLength: 3, selector: ({ name }) => name }),
}
const noBytes = Buffer.alloc(0)
const nothing = { size: 0, linkTarget: noBytes, major: 0, minor: 0 }

const fileMember: fc.Arbitrary<ArbitraryMember> = fc
  .record({ ...attributes, content: fc.oneof(bytes({ maxLength: 60 }), bytes({ minLength: 500, maxLength: 1100 })) })
  .map(({ content, ...rest }) => ({ content, entry: { ...nothing, ...rest, type: 'file', size: content.length } }))

const bodilessMember: fc.Arbitrary<ArbitraryMember> = fc
  .oneof(
    fc.record({ ...attributes, type: fc.constantFrom('directory', 'fifo') }),
    fc.record({ ...attributes, type: fc.constantFrom('symlink', 'hardlink'), linkTarget: name }),
    fc.record({
      ...attributes,
      type: fc.constantFrom('char', 'block'),
      major: fc.integer({ min: 0, max: 0xfff }),
      minor: fc.integer({ min: 0, max: 0xfffff }),
    }),
  )
  .map((entry) => ({ content: noBytes, entry: { ...nothing, ...entry } }))
