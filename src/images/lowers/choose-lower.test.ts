import { describe, expect, test } from 'vitest'
import { chooseLower, type LowerPolicy, usableKinds, whyLower } from './choose-lower.ts'

const auto: LowerPolicy = { profile: 'auto', form: 'auto' }

describe('which lower is built', () => {
  test.each([
    [auto, true, '6.1.0-38-cloud-amd64', 'plain whole'],
    [auto, true, '5.10.0', 'plain whole'],
    [auto, false, '6.1.0-38-cloud-amd64', 'lz4 parts'],
    [auto, false, '5.16.0', 'lz4 parts'],
    [auto, false, '5.15.0-91-generic', 'lz4 whole'],
    [auto, false, undefined, 'lz4 parts'],
    [{ ...auto, profile: 'plain' }, false, '6.1.0', 'plain parts'],
    [{ ...auto, profile: 'lz4-64k' }, true, '6.1.0', 'lz4-64k whole'],
    [{ ...auto, form: 'whole' }, false, '6.1.0', 'lz4 whole'],
    [{ profile: 'plain', form: 'parts' }, true, '10.0.1', 'plain parts'],
  ] as const)('%j, reflinks %j, kernel %s: %s', (policy, reflink, guestRelease, expected) => {
    const { profile, form } = chooseLower(policy, { reflink, guestRelease })
    expect(`${profile} ${form}`).toBe(expected)
  })

  test.each([
    [{ ...auto, profile: 'lz4-64k' }, '5.10.0'],
    [{ ...auto, form: 'parts' }, '5.15.0'],
  ] as const)('%j is refused for kernel %s', (policy, guestRelease) => {
    expect(() => chooseLower(policy, { reflink: false, guestRelease })).toThrow(
      expect.objectContaining({ code: 'HOST_UNSUPPORTED', hint: expect.stringContaining('images.lower_profile') }),
    )
  })
})

test.each([
  [auto, true, '6.1.0', /^files of the data directory can share extents$/],
  [auto, false, '6.1.0', /cannot share extents$/],
  [auto, false, '5.10.0', /cannot share extents, and the guest's kernel 5\.10\.0 takes none in parts$/],
  [{ ...auto, profile: 'plain' }, false, '6.1.0', /^config\.toml says plain, and files .* cannot share/],
  [{ ...auto, form: 'parts' }, true, '6.1.0', /^config\.toml says in parts, and files .* can share/],
  [{ profile: 'lz4', form: 'whole' }, true, '6.1.0', /^config\.toml says so$/],
] as const)('why it is that one: %j, reflinks %j, kernel %s', (policy, reflink, guestRelease, expected) => {
  expect(whyLower(policy, { reflink, guestRelease })).toMatch(expected)
})

test('what is there is used: the preferred kind first, its profile before its form, nothing that the kernel cannot read', () => {
  const names = (release: string | undefined) =>
    usableKinds({ profile: 'lz4', form: 'parts' }, release).map(({ profile, form }) => `${profile} ${form}`)
  expect(names('6.1.0')).toEqual([
    'lz4 parts',
    'lz4 whole',
    'plain parts',
    'lz4-64k parts',
    'plain whole',
    'lz4-64k whole',
  ])
  expect(names(undefined)).toEqual(names('6.1.0'))
  expect(names('5.10.0-28')).toEqual(['lz4 whole', 'plain whole'])
  expect(names('5.15.0')).toEqual(['lz4 whole', 'plain whole', 'lz4-64k whole'])
})
