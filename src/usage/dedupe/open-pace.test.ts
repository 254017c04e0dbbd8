import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openPace } from './open-pace.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => void vi.useRealTimers())

test('work that is ahead of its rate waits, and what is not does not', async () => {
  const pace = openPace(1_000_000)
  const started = process.hrtime.bigint()
  // By a clock that stands still it is ahead by all that it has read.
  await pace(30_000)
  expect(Number(process.hrtime.bigint() - started) / 1e6).toBeGreaterThanOrEqual(29)
  // By then a thousand seconds' worth may be read: to wait for it would take as long.
  vi.advanceTimersByTime(3_600_000)
  await pace(1_000_000_000)
  await openPace(undefined)(Number.MAX_SAFE_INTEGER)
})
