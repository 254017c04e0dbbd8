import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseChallenges } from './parse-challenges.ts'
import { parseContentRange } from './parse-content-range.ts'
import { parseNextLink } from './parse-next-link.ts'
import { parseReceived } from './parse-received.ts'
import { parseRetryAfter } from './parse-retry-after.ts'

const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}$/)
const quotable = fc.string({ unit: fc.constantFrom(...'ab z,="\\:/?&'), maxLength: 20 })

describe('WWW-Authenticate', () => {
  test.each([
    [
      'Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull,push"',
      [['bearer', { realm: 'https://auth.example/token', service: 'registry', scope: 'repository:a/b:pull,push' }]],
    ],
    ['Basic realm="a \\"b\\", c"', [['basic', { realm: 'a "b", c' }]]],
    [
      'Negotiate, Basic realm=x , Bearer realm = "y"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'x' }],
        ['bearer', { realm: 'y' }],
      ],
    ],
    [
      'Negotiate YWJj==, Basic realm="x"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'x' }],
      ],
    ],
    ['BEARER Realm="first",realm="second"', [['bearer', { realm: 'first' }]]],
    ['', []],
    ['Bearer realm="not closed', [['bearer', {}]]],
    ['"what is this', []],
  ])('%s', (header, expected) => {
    const found = parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])
    expect(found.slice(0, expected.length)).toEqual(expected)
  })

  test('whatever was written is read again', () => {
    const parameters = fc.uniqueArray(fc.tuple(token, quotable), {
      selector: ([name]) => name.toLowerCase(),
      minLength: 1,
    })
    fc.assert(
      fc.property(fc.array(fc.tuple(token, parameters), { minLength: 1, maxLength: 3 }), (challenges) => {
        const header = challenges
          .map(([scheme, pairs]) => {
            const written = pairs.map(([name, value]) => `${name}="${value.replace(/[\\"]/g, '\\$&')}"`)
            return `${scheme} ${written.join(', ')}`
          })
          .join(', ')
        expect(parseChallenges(header).map((one) => [one.scheme, [...one.parameters]])).toEqual(
          challenges.map(([scheme, pairs]) => [
            scheme.toLowerCase(),
            pairs.map(([name, value]) => [name.toLowerCase(), value]),
          ]),
        )
      }),
    )
  })
})

describe('Content-Range', () => {
  test.each([
    ['bytes 0-0/1', { start: 0, end: 0, total: 1 }],
    ['bytes 5-9/10', { start: 5, end: 9, total: 10 }],
    ['bytes 5-9/*', { start: 5, end: 9, total: undefined }],
    ['bytes 5-10/10', undefined],
    ['bytes 9-5/10', undefined],
    ['bytes */10', undefined],
    ['bytes 5-9', undefined],
    ['bytes 0-9007199254740993/*', undefined],
    ['items 0-1/2', undefined],
    ['bytes 0-1/2, bytes 4-5/6', undefined],
  ])('%s', (header, expected) => expect(parseContentRange(header)).toEqual(expected))
})

describe('Range of an upload', () => {
  test.each([
    ['0-0', 0],
    ['0-1023', 1024],
    ['bytes=0-1023', 1024],
    ['1-5', undefined],
    ['0-9007199254740991', undefined],
    ['', undefined],
  ])('%s', (header, expected) => expect(parseReceived(header)).toBe(expected))
})

describe('Link', () => {
  test.each([
    ['</v2/a/tags/list?last=x&n=2>; rel="next"', '/v2/a/tags/list?last=x&n=2'],
    ['<a>; rel=prev, <b?x=1,2>; title="; rel=next"; rel=next', 'b?x=1,2'],
    ['<a>; rel="prev next"', 'a'],
    ['<a>; rel="prev"', undefined],
    ['a; rel="next"', undefined],
    ['<>; rel="next"', undefined],
  ])('%s', (header, expected) => expect(parseNextLink(header)).toBe(expected))
})

describe('Retry-After', () => {
  const now = Date.UTC(2026, 0, 1)
  test.each([
    ['0', 0],
    ['120', 120_000],
    ['99999999999', undefined],
    ['9999999', 24 * 3600 * 1000],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['-5', undefined],
    ['soon', undefined],
    ['1.5', undefined],
  ])('%s', (header, expected) => expect(parseRetryAfter(header, now)).toBe(expected))
})

test('no header makes a parser throw or hang, or gives a number that cannot be', () => {
  const alphabet = fc.constantFrom(...'bytes 0-9/*<>;,="\\rel next Bearer realm\t~Thu, 01 Jan\u0000ä')
  const header = fc.oneof(fc.string({ unit: alphabet, maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 100 }))
  fc.assert(
    fc.property(header, (text) => {
      for (const { scheme, parameters } of parseChallenges(text)) {
        expect(scheme).not.toBe('')
        expect(parameters.size).toBeLessThanOrEqual(text.length)
      }
      const range = parseContentRange(text)
      if (range !== undefined) expect(range.start).toBeLessThanOrEqual(range.end)
      expect(parseReceived(text) ?? 0).toBeGreaterThanOrEqual(0)
      expect(parseRetryAfter(text) ?? 0).toBeGreaterThanOrEqual(0)
      expect(parseNextLink(text) ?? 'x').not.toBe('')
    }),
    { numRuns: 2000 },
  )
})

test.each([
  ['"', 200_000],
  ['a="', 60_000],
  ['<a>; ', 40_000],
  ['<a>;a=', 30_000],
  ['a,', 100_000],
  [' ', 200_000],
  ['\\', 200_000],
])('a header of many %j is done with at once', (piece, times) => {
  const long = piece.repeat(times)
  // A parser that goes back and forth would take minutes for these: the test's own time limit is the assertion.
  for (const text of [long, long.slice(0, 16_000), `Bearer realm="${long.slice(0, 16_000)}`]) {
    expect(parseChallenges(text).length).toBeLessThanOrEqual(text.length)
    expect(parseNextLink(text)).toBeUndefined()
    expect(parseContentRange(text)).toBeUndefined()
    expect(parseRetryAfter(text)).toBeUndefined()
  }
})
