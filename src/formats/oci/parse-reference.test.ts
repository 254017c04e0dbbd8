import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isProblem } from '../../base/index.ts'
import { formatReference, parseReference } from './parse-reference.ts'

const digest = `sha256:${'ab'.repeat(32)}`

describe('a reference', () => {
  test.each([
    ['debian', { name: 'debian', tag: 'latest' }],
    ['debian:12', { name: 'debian', tag: '12' }],
    ['my_app__x.y-z--w:V1_.-', { name: 'my_app__x.y-z--w', tag: 'V1_.-' }],
    ['team/app', { name: 'team/app', tag: 'latest' }],
    ['registry.example:5000/team/app', { name: 'registry.example:5000/team/app', tag: 'latest' }],
    ['Registry.Example/app:v1', { name: 'Registry.Example/app', tag: 'v1' }],
    ['[::1]:5000/app:v1', { name: '[::1]:5000/app', tag: 'v1' }],
    [`debian@${digest}`, { name: 'debian', digest }],
    [`debian:12@${digest}`, { name: 'debian', tag: '12', digest }],
  ])('%s', (text, expected) => {
    expect(parseReference(text)).toEqual({ tag: undefined, ...expected })
  })

  test.each([
    '',
    ':',
    ':12',
    'debian:',
    'Debian',
    'a//b',
    '/a',
    'a/',
    '-a',
    'a_-b',
    'debian:1 2',
    `debian:${'x'.repeat(129)}`,
    'a'.repeat(256),
    'debian@sha256:abc',
    'debian@',
    'debian@md5:abc',
    '../etc/passwd',
    'a:1:2',
    'debian\n',
    'debian:12\n',
    'debián',
  ])('%j is refused', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }))
  })

  test('any text gives a reference that writes itself the same way, or a Problem', () => {
    const likely = fc.stringMatching(/^[a-zA-Z0-9:/@._-]{1,40}$/)
    fc.assert(
      fc.property(fc.oneof(likely, fc.string({ unit: 'binary' })), (text) => {
        try {
          const reference = parseReference(text)
          expect(parseReference(formatReference(reference))).toEqual(reference)
        } catch (error) {
          if (!isProblem(error, 'INVALID_REQUEST')) throw error
        }
      }),
    )
  })

  test('a long hostile name takes no time to refuse', () => {
    expect(() => parseReference(`${'a-'.repeat(120)}!`)).toThrow(/not an image reference/)
    expect(() => parseReference(`${'a.'.repeat(100_000)}!`)).toThrow(/not an image reference/)
  })
})
