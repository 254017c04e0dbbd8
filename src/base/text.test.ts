import fc from 'fast-check'
import { expect, test } from 'vitest'
import { newId, parseName } from './names.ts'
import { printable, printableBytes, printableJson } from './printable.ts'
import { Problem, problemFromSystem } from './problem.ts'

test.each(['a', 'dev', 'a-b-c', '0', 'x'.repeat(63)])('%s is a name', (name) => {
  expect(parseName(name)).toBe(name)
})

test.each(['', '.', '..', 'a/b', 'A', '-a', 'a-', 'a_b', 'x'.repeat(64), 'a\n', 'ä'])('%j is not a name', (name) => {
  expect(() => parseName(name)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }))
})

test('ids are 12 hex digits and differ', () => {
  expect(newId()).toMatch(/^[0-9a-f]{12}$/)
  expect(newId()).not.toBe(newId())
})

test('no control character, escape or override reaches a terminal', () => {
  expect(printable('a\u001b[31mred\u0007')).toBe('a\\x1b[31mred\\x07')
  expect(printable('file\u202etxt.exe')).toBe('file\\u{202e}txt.exe')
  expect(printable('zürich 🐄')).toBe('zürich 🐄')
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(printable(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/)
    }),
  )
})

test('JSON that is safe on a terminal says the same', () => {
  expect(printableJson('{"a":"\u009b31m\u202e\u{e0041}"}\r\n')).toBe('{"a":"\\u009b31m\\u202e\\udb40\\udc41"}\n\n')
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
      const shown = printableJson(JSON.stringify(value, null, 2))
      expect(shown).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/)
      expect(JSON.parse(shown)).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})

test('bytes that are not UTF-8 are shown byte by byte', () => {
  expect(printableBytes(Buffer.from('naïve'))).toBe('naïve')
  expect(printableBytes(Buffer.from([0x66, 0xff, 0x0a]))).toBe('f\\xff\\x0a')
})

test('what the system threw becomes a problem that says what was being done', () => {
  const full = Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC' })
  const problem = problemFromSystem(full, 'write the blob')
  expect(problem).toMatchObject({ code: 'NO_SPACE', exitCode: 5, status: 507, cause: full })
  expect(problem.hint).toContain('system df')
  expect(problemFromSystem(problem, 'anything')).toBe(problem)
  expect(problemFromSystem(new Error('odd'), 'x')).toMatchObject({ code: 'IO_FAILED', message: 'cannot x: odd' })
  expect(problemFromSystem('text', 'x')).toBeInstanceOf(Problem)
})
