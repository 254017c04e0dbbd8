import { expect, test } from 'vitest'
import { forEachAtOnce } from './for-each-at-once.ts'

test('never more at a time than it may', async () => {
  let running = 0
  let most = 0
  await forEachAtOnce([1, 2, 3, 4, 5, 6, 7], 3, async () => {
    most = Math.max(most, ++running)
    await Promise.resolve()
    running--
  })
  expect([most, running]).toEqual([3, 0])
})

test('after a failure nothing is begun, and what is under way is waited for', async () => {
  const begun: number[] = []
  const ended: number[] = []
  const attempt = forEachAtOnce([1, 2, 3, 4], 2, async (item) => {
    begun.push(item)
    if (item === 1) throw new Error('the first')
    await new Promise((resolve) => setTimeout(resolve, 5))
    ended.push(item)
  })
  await expect(attempt).rejects.toThrow('the first')
  expect(begun).toEqual([1, 2])
  expect(ended).toEqual([2])
})
