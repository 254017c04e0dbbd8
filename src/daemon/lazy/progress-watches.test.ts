import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { digestOf, Problem } from '../../base/index.ts'
import { newCounters } from '../../lazy/counters.ts'
import type { OriginState } from '../../lazy/index.ts'
import { openEventLog } from '../../state/index.ts'
import { ProgressWatches } from './progress-watches.ts'
import { tellStatus } from './serving-status.ts'

const chunkIndex = digestOf('index')
const away: OriginState = {
  state: 'degraded',
  since: new Date(0),
  problem: new Problem('REGISTRY_UNREACHABLE', 'nobody answers'),
}

test('what becomes of a lower that is served in two ways is told once, with all who read it, until nobody does', async () => {
  await using directory = await temporaryDirectory()
  const events = openEventLog(':memory:')
  const lower = {
    bytes: 65_536,
    counters: newCounters(),
    heat: () => ({ cellBytes: 65_536, here: [0], read: [0], ahead: [0] }),
    hereBytes: () => 0,
    leaves: { count: 1, missing: 1 },
    origin: away as OriginState,
  }
  const nbd = { clients: 1, connections: 0, reads: 0, readBytes: 0, errors: 0 }
  const server = { counters: () => nbd }
  await using status = await tellStatus({ directory: directory.path, chunkIndex, lower, server })
  const told = () => events.read({ limit: 100 }).map(({ type, data }) => [type, data?.sheds])
  const watches = new ProgressWatches(events)
  const join = (name: string) =>
    watches.join({ directory: directory.path, chunkIndex, reference: 'app:1', sheds: new Set([name]) })
  {
    using one = join('web')
    {
      using other = join('api')
      await expect.poll(told, { timeout: 60_000 }).toEqual([['lazy.degraded', ['api', 'web']]])
      expect(other.progress).toBe(one.progress)
    }
    lower.origin = { state: 'gives' }
    status.tell()
    await expect.poll(() => told().length, { timeout: 60_000 }).toBe(2)
    expect(told()).toContainEqual(['lazy.recovered', ['web']])
  }
  // Whoever comes next finds what was told, and has a watch of his own.
  using last = join('db')
  await expect.poll(() => last.progress, { timeout: 60_000 }).toBeDefined()
  expect(told()).toHaveLength(2)
  events.close()
})
