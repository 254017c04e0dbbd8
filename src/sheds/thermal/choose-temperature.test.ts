import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { IdleTime } from '../../contract/index.ts'
import { chooseTemperature, type Temperature } from './choose-temperature.ts'

const temperatures: readonly Temperature[] = ['hot', 'warm', 'cold']
const warmth = (temperature: Temperature) => temperatures.indexOf(temperature)
const idleTime = fc.oneof(fc.constant<IdleTime>('never'), fc.integer({ min: 1000 }))
const settings = fc.record({ warm_after_ms: idleTime, cold_after_ms: idleTime, keep_hot: fc.boolean() })
const now = fc.constantFrom(...temperatures)
const idleMs = fc.oneof(fc.integer({ min: 0 }), fc.double({ min: 0, noNaN: true }))

test('no shed becomes warmer by itself, and none that is used or kept hot changes at all', () => {
  fc.assert(
    fc.property(settings, now, fc.option(idleMs, { nil: undefined }), (settings, now, idleMs) => {
      const chosen = chooseTemperature({ settings, now, idleMs })
      expect(warmth(chosen)).toBeGreaterThanOrEqual(warmth(now))
      if (settings.keep_hot || idleMs === undefined) expect(chosen).toBe(now)
    }),
  )
})

test('a longer idleness never leaves a shed warmer, and what it has become it stays', () => {
  fc.assert(
    fc.property(settings, now, idleMs, idleMs, (settings, now, one, other) => {
      const [shorter, longer] = [Math.min(one, other), Math.max(one, other)]
      const first = chooseTemperature({ settings, now, idleMs: shorter })
      const then = chooseTemperature({ settings, now: first, idleMs: longer })
      expect(warmth(then)).toBeGreaterThanOrEqual(warmth(first))
      expect(then).toBe(chooseTemperature({ settings, now, idleMs: longer }))
    }),
  )
})

test('each time does what it says, from the very millisecond on', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1000 }), fc.integer({ min: 1000 }), (warm, cold) => {
      const settings = { warm_after_ms: warm, cold_after_ms: cold, keep_hot: false }
      const at = (idleMs: number) => chooseTemperature({ settings, now: 'hot', idleMs })
      expect(at(Math.min(warm, cold) - 1)).toBe('hot')
      expect(at(cold)).toBe('cold')
      if (warm < cold) expect([at(warm), at(cold - 1)]).toEqual(['warm', 'warm'])
    }),
  )
})
