import { expect, test } from 'vitest'
import { ThreadShares } from './thread-shares.ts'

test('threads are shared by size, and nobody goes without', () => {
  const shares = new ThreadShares(4)
  {
    using alone = shares.take(100)
    using small = shares.take(10)
    using equal = shares.take(110)
    expect([alone.threads, small.threads, equal.threads]).toEqual([4, 1, 2])
  }
  using next = shares.take(1)
  expect(next.threads).toBe(4)
  using empty = shares.take(0)
  expect(empty.threads).toBe(1)
})
