import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isAlike, rememberLast } from './remember-last.ts'

const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(1, 0, Number.NaN, 'a', '', true, null, undefined),
    tie('list'),
    tie('object'),
  ),
  list: fc.array(tie('any'), { maxLength: 3 }),
  object: fc.dictionary(fc.constantFrom('a', 'b', '0', 'length'), tie('any'), { maxKeys: 3, noNullPrototype: true }),
})).any

test('values are alike when all their parts are', () => {
  fc.assert(
    fc.property(value, value, (one, other) => void expect(isAlike(one, other)).toBe(isDeepStrictEqual(one, other))),
  )
  fc.assert(fc.property(value, (one) => void expect(isAlike(one, structuredClone(one))).toBe(true)))
})

test('the last answer is handed out while the same is asked, or made from by who can', () => {
  const asked: string[] = []
  const answer = rememberLast(
    (list: readonly string[], word: object) => {
      asked.push(list.join())
      return { list, word }
    },
    (last, [list, word]) => (list.length === last.given[0].length ? { ...last.answer, list, word } : undefined),
  )
  const word = {}
  const first = answer(['a'], word)
  expect(answer(['a'], word)).toBe(first)
  expect(answer(['b'], word)).toEqual({ list: ['b'], word })
  expect(asked).toEqual(['a'])
  expect(answer(['b', 'c'], word)).toEqual({ list: ['b', 'c'], word })
  expect(answer(['b', 'c'], {})).not.toBe(first)
  expect(asked).toEqual(['a', 'b,c'])
})
