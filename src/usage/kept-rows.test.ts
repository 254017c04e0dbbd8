import { expect, test } from 'vitest'
import { keptRows } from './kept-rows.ts'

test('a row is the same value while its thing is and its figures say the same, and another when either is another', () => {
  const rows = keptRows()
  const thing = {}
  const row = (bytes: number, of: object = thing) => rows.row(of, [{ bytes }, []], () => ({ bytes }))
  const first = row(1)
  expect(row(1)).toBe(first)
  expect(row(2)).toEqual({ bytes: 2 })
  // Only the last one is kept.
  expect(row(1)).not.toBe(first)
  expect(row(1, {})).not.toBe(row(1))
})
