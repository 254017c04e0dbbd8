import { expect, test } from 'vitest'
import { hostLimits } from './host-limits.ts'

const gib = 2 ** 30

test('without a setting an eighth of the memory, and at least half a GiB, stays the host’s', () => {
  expect(hostLimits({}, 16 * gib)).toMatchObject({ maxSheds: undefined, maxMemoryBytes: 14 * gib })
  expect(hostLimits({}, 2 * gib).maxMemoryBytes).toBe(1.5 * gib)
  expect(hostLimits({}, gib / 4).maxMemoryBytes).toBe(0)
  expect(hostLimits({ max_sheds: 3, max_memory: 5 }, gib)).toMatchObject({ maxSheds: 3, maxMemoryBytes: 5 })
})

test('what this host has is what the kernel says', () => {
  const { maxMemoryBytes, cpus } = hostLimits({})
  expect(maxMemoryBytes).toBeGreaterThan(0)
  expect(Number.isSafeInteger(maxMemoryBytes)).toBe(true)
  expect(cpus).toBeGreaterThan(0)
})
