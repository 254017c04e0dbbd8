import { expect, test } from 'vitest'
import { digestOf } from '../../base/index.ts'
import { LazyCounts } from '../../contract/index.ts'
import { progressAtRest, progressOf } from './lazy-progress.ts'
import type { Serving } from './serving-status.ts'

const counts = (value: number) =>
  Object.fromEntries(Object.keys(LazyCounts.shape).map((name) => [name, value])) as LazyCounts

function serving(some: Partial<Serving>): Serving {
  return {
    ...{ version: 1, pid: 1, start_time: '1', since: new Date(0).toISOString(), isAlive: true, clients: 1 },
    chunk_index_digest: digestOf('index'),
    leaves: { count: 10, missing: 5 },
    bytes: 1000,
    here_bytes: 500,
    heat: { cell_bytes: 500, here: [100, 0], read: [50, 0], ahead: [0, 0] },
    complete: false,
    origin: 'gives',
    counts: counts(1),
    ...some,
  }
}

test('what several say who serve the same is one: most of what is here, and all that it took', () => {
  const degraded = { since: new Date(0).toISOString(), reason: 'gone' }
  const other = serving({
    here_bytes: 999,
    heat: { cell_bytes: 500, here: [0, 99], read: [0, 1], ahead: [7, 0] },
    degraded,
    counts: counts(2),
  })
  expect(progressOf([serving({}), other, serving({ isAlive: false, counts: counts(100) })])).toEqual({
    here_bytes: 999,
    here_percent: 99,
    complete: false,
    degraded,
    heat: { cell_bytes: 500, here: [100, 99], read: [50, 1], ahead: [7, 0] },
    counts: counts(3),
  })
})

test('nobody serves it: nothing is known but what is here, and what was said last', () => {
  const seen = { hereBytes: 1, heat: { cellBytes: 500, here: [1, 0], read: [0, 0], ahead: [0, 0] } }
  expect(progressOf([serving({ isAlive: false })])).toBeUndefined()
  expect(progressAtRest([], seen, 1000)).toEqual({
    here_bytes: 1,
    here_percent: 1,
    complete: false,
    heat: { cell_bytes: 500, here: [1, 0], read: [0, 0], ahead: [0, 0] },
    counts: counts(0),
  })
  const last = serving({ isAlive: false, complete: true, counts: counts(9) })
  // What is here may have become less since.
  expect(progressAtRest([last], seen, 1000)).toMatchObject({
    complete: false,
    counts: counts(9),
    heat: { read: [50, 0] },
  })
  const whole = { ...seen, hereBytes: 1000 }
  expect(progressAtRest([last], whole, 1000)).toMatchObject({ complete: true, here_percent: 100 })
})
