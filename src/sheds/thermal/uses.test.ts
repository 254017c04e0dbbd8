import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Uses } from './uses.ts'

test('a shed is in use for as long as anybody uses it, however often who has gone says so', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ begin: fc.boolean(), which: fc.nat(5) }), { maxLength: 30 }), (steps) => {
      const uses = new Uses()
      const users = new Map<number, Disposable>()
      for (const { begin, which } of steps) {
        users.get(which)?.[Symbol.dispose]()
        if (begin) users.set(which, uses.begin('web'))
        else {
          users.get(which)?.[Symbol.dispose]()
          users.delete(which)
        }
        expect(uses.idle('web') === undefined).toBe(users.size > 0)
        expect(uses.idle('other')).toBeDefined()
      }
    }),
  )
})

test('idleness begins with the end of the last use, and anew whenever its guest was at work', () => {
  const uses = new Uses()
  const use = uses.begin('web')
  const during = performance.now()
  use[Symbol.dispose]()
  expect(uses.idle('web')?.ms).toBeLessThanOrEqual(performance.now() - during)
  const before = uses.idle('web')?.since ?? ''
  uses.touch('web')
  expect((uses.idle('web')?.since ?? '') >= before).toBe(true)
})

test('who is making a shed colder is to be seen, also when that fails; a user that is there when its VM goes counts on', async () => {
  const uses = new Uses()
  const seen = uses.whileCooling('web', async () => {
    expect(uses.isCooling('web')).toBe(true)
    throw new Error('no space')
  })
  await expect(seen).rejects.toThrow('no space')
  expect(uses.isCooling('web')).toBe(false)
  const use = uses.begin('web')
  uses.forget('web')
  expect(uses.idle('web')).toBeUndefined()
  use[Symbol.dispose]()
  uses.forget('web')
  expect(uses.idle('web')).toBeDefined()
})
