import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Wakefulness } from './wakefulness.ts'

let wakefulness: Wakefulness
let now = 0
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setImmediate'] })
  vi.spyOn(performance, 'now').mockImplementation(() => now)
  wakefulness = new Wakefulness()
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

/** Whether the event loop has a reason not to sleep. */
const isAwake = () => vi.getTimerCount() > 0

/** So many milliseconds, and then a turn of the event loop. */
function pass(milliseconds: number): void {
  now += milliseconds
  vi.advanceTimersToNextTimer()
}

/** How many answers it takes until one is followed by a moment without sleep, in which nothing comes. */
function answersUntilAwake(): number {
  for (let count = 1; ; count++) {
    wakefulness.answered(0)
    if (!isAwake()) continue
    pass(1)
    return count
  }
}

test('an answer is followed by a moment without sleep, and so is each that comes in it', () => {
  expect(isAwake()).toBe(false)
  for (let count = 0; count < 10; count++) {
    wakefulness.answered(0)
    pass(0.04)
    expect(isAwake()).toBe(true)
  }
  pass(0.02)
  expect(isAwake()).toBe(false)
})

test.each([
  ['no more than there is to take', 1 << 20, 0.25, 0.27],
  ['not for as long as a client may take that takes nothing', 1 << 30, 0.49, 0.51],
])('the moment is longer while there is more to take: %s', (_, waiting, awake, asleep) => {
  wakefulness.answered(waiting)
  pass(awake)
  expect(isAwake()).toBe(true)
  pass(asleep - awake)
  expect(isAwake()).toBe(false)
})

test('where nothing comes it is tried more and more rarely, and as at first once something does', () => {
  expect(Array.from({ length: 10 }, answersUntilAwake)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 256])
  while (!isAwake()) wakefulness.answered(0)
  // In the same turn: that is no client who was waited for.
  wakefulness.answered(0)
  pass(1)
  expect(answersUntilAwake()).toBe(256)
  while (!isAwake()) wakefulness.answered(0)
  pass(0.01)
  wakefulness.answered(0)
  pass(1)
  expect(answersUntilAwake()).toBe(2)
})
