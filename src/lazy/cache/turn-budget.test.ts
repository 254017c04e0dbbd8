import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { TurnBudget } from './turn-budget.ts'

test('a turn has no more of the work than it may, and all of it is done in its order', async () => {
  const budget = new TurnBudget(3)
  const done: number[] = []
  const works = Array.from({ length: 8 }, async (_, at) => {
    await budget.next()
    done.push(at)
  })
  // This turn has its share, and so has each that comes.
  for (let turns = 1; done.length < works.length; turns++) {
    expect(done.length).toBeLessThanOrEqual(3 * turns)
    await turn()
  }
  await Promise.all(works)
  expect(done).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  // And again, after it had nothing to do.
  await turn()
  await turn()
  await budget.next()
})
