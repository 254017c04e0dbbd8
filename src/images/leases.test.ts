import { describe, expect, test } from 'vitest'
import { digestOf } from '../base/index.ts'
import { Leases } from './leases.ts'

const [a, b] = [digestOf('a'), digestOf('b')]

describe('leases', () => {
  test('count: the last one to let go frees', () => {
    const leases = new Leases()
    const [one, two] = [leases.openBlobLease(), leases.openBlobLease()]
    one.add(a)
    one.add(a)
    two.add(a)
    expect([one.isAlone(a), two.isAlone(a), one.isAlone(b)]).toEqual([false, false, true])
    one[Symbol.dispose]()
    expect([leases.isLeased(a), two.isAlone(a)]).toEqual([true, true])
    two[Symbol.dispose]()
    two[Symbol.dispose]()
    expect(leases.isLeased(a)).toBe(false)
  })

  test('an image that is being removed cannot be held, and can be afterwards', () => {
    const leases = new Leases()
    {
      using _ = leases.startRemoving([a])
      expect(() => leases.holdImage(a)).toThrow(expect.objectContaining({ code: 'IMAGE_NOT_FOUND' }))
      leases.holdImage(b)[Symbol.dispose]()
    }
    using _ = leases.holdImage(a)
    expect(leases.heldImages()).toEqual([a])
  })

  test('a watch sees who held before it, and who held and let go since', () => {
    const leases = new Leases()
    using _ = leases.holdImage(a)
    using watch = leases.watchHolds()
    leases.holdImage(b)[Symbol.dispose]()
    expect([...watch.held]).toEqual([a, b])
  })

  test('removals come one after another, whatever becomes of each', async () => {
    const leases = new Leases()
    const order: string[] = []
    const first = leases.removal(async () => {
      await new Promise((resolve) => setTimeout(resolve, 10))
      order.push('first')
      throw new Error('no')
    })
    const second = leases.removal(async () => order.push('second'))
    const settled = leases.settled().then(() => order.push('settled'))
    await expect(first).rejects.toThrow('no')
    await Promise.all([second, settled])
    expect(order).toEqual(['first', 'second', 'settled'])
  })
})
