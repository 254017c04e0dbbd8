import fc from 'fast-check'
import { expect, test } from 'vitest'
import { replyText } from './reply-text.ts'

const value = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(undefined, Number.NaN, new Date(0), new Date(Number.NaN), () => 1),
)

test('a reply is the text that JSON.stringify makes of it, the first time and the second', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.oneof(value, fc.array(value), fc.array(fc.dictionary(fc.string(), value)))),
      (reply) => {
        const text = JSON.stringify(reply)
        expect([replyText(reply), replyText(reply)]).toEqual([text, text])
      },
    ),
  )
})

test('what is no object is written too', () => {
  for (const reply of [null, 'text', 7, [], [{ a: 1 }, undefined], new Date(0)]) {
    expect(replyText(reply)).toBe(JSON.stringify(reply))
  }
})

test('a row that is the same value is not written again, and another in its place is', () => {
  let writes = 0
  const row = {
    get name() {
      writes++
      return 'web'
    },
  }
  expect(replyText({ rows: [row, { name: 'db' }] })).toBe('{"rows":[{"name":"web"},{"name":"db"}]}')
  expect(replyText({ rows: [{ name: 'api' }, row] })).toBe('{"rows":[{"name":"api"},{"name":"web"}]}')
  expect(writes).toBe(1)
})
