import { expect, test } from 'vitest'
import type { PruneStep } from '../plan-prune.ts'
import { chooseSteps } from './choose-steps.ts'

const step = (name: string, bytes: number, sharedWith: readonly string[] = []): PruneStep => ({
  kind: 'log',
  shed: {} as never,
  path: name,
  keepBytes: 0,
  paths: [],
  item: {
    kind: 'log',
    name,
    action: 'truncate',
    freed: { logical_bytes: 100, physical_bytes: 100 },
    marginal_bytes: bytes,
    shared_with: sharedWith.map((other) => ({ kind: 'log', name: other })),
  },
})
const chosen = (steps: readonly PruneStep[], wanted: number) => chooseSteps(steps, wanted).map(({ item }) => item.name)

test('no more goes than is wanted, and nothing that frees nothing', () => {
  const steps = [step('empty', 0), step('a', 10), step('b', 20), step('c', 30)]
  expect(chosen(steps, 0)).toEqual([])
  expect(chosen(steps, 15)).toEqual(['a', 'b'])
  expect(chosen(steps, 1000)).toEqual(['a', 'b', 'c'])
  // What blocks amount to is not what comes back: nothing of these would.
  expect(chosen([step('x', 0, ['stays']), step('y', 0, ['stays'])], 1000)).toEqual([])
})

test('what shares goes together, with the last of them, or not at all', () => {
  const pair = [step('first', 0, ['second']), step('second', 40, ['first'])]
  expect(chosen(pair, 1)).toEqual(['first', 'second'])
  expect(chosen([step('a', 10), ...pair], 5)).toEqual(['a'])
  expect(chosen([step('alone', 0, ['first']), step('a', 10)], 5)).toEqual(['a'])
})
