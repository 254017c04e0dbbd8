import { describe, expect, test } from 'vitest'
import { formatDuration, parseDuration } from './duration.ts'

describe('parseDuration', () => {
  test.each([
    ['72h', 259_200_000],
    ['0s', 0],
    ['0', 0],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['7d', 604_800_000],
    ['1.5s', 1500],
    [' 3m ', 180_000],
  ])('%s', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds)
  })

  test.each(['', '72', '-1h', 'h', '3 potatoes', '1h30', '99999999999d'])('refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }))
  })
})

test.each([
  [259_200_000, '72h'],
  [11_100_000, '3h 5m'],
  [40_000, '40s'],
  [12, '12ms'],
  [-5, '0s'],
  [90_000, '1m 30s'],
  [864_000_000, '10d'],
])('formatDuration(%d)', (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text)
})
