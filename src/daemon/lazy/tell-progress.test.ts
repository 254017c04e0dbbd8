import { beforeEach, expect, test } from 'vitest'
import type { CowshedEvent, LazyProgress } from '../../contract/index.ts'
import type { NewEvent } from '../../state/index.ts'
import { ProgressTeller } from './tell-progress.ts'

let log: CowshedEvent[]

beforeEach(() => {
  log = []
})

const events = {
  append: (event: NewEvent) => {
    log.push({ seq: log.length + 1, at: new Date(0).toISOString(), ...event } as CowshedEvent)
  },
  read: () => log,
}
const teller = (chunkIndex = 'sha256:1') =>
  new ProgressTeller(events, { reference: 'app:1', chunkIndex, sheds: new Set(['web', 'api']) })
const since = new Date(0).toISOString()
const away = { degraded: { since, reason: 'nobody answers' } }
const seen = (progress: Partial<LazyProgress>, gives = false) => ({
  progress: { here_percent: 50, complete: false, ...progress } as LazyProgress,
  gives,
})
const told = () => log.map(({ type }) => type)

test('each change is told once, with who reads it', () => {
  const one = teller()
  one.tell(seen({}, true))
  one.tell(seen(away))
  one.tell(seen(away, true))
  expect(log).toMatchObject([
    {
      type: 'lazy.degraded',
      subject: 'app:1',
      message: 'app:1: its registry does not give what is read: nobody answers',
      data: { chunk_index_digest: 'sha256:1', sheds: ['api', 'web'], since },
    },
  ])
  one.tell(seen({}, true))
  one.tell(seen({}, true))
  one.tell(seen(away, true))
  expect(told()).toEqual(['lazy.degraded', 'lazy.recovered', 'lazy.degraded'])
})

test('another process that serves it, and has asked for nothing yet, does not say that the registry is back', () => {
  const one = teller()
  one.tell(seen(away))
  one.tell(seen({}))
  expect(told()).toEqual(['lazy.degraded'])
  one.tell(seen({}, true))
  expect(told()).toEqual(['lazy.degraded', 'lazy.recovered'])
})

test('what another daemon has told is not told again, and what it has missed is told', () => {
  teller().tell(seen(away))
  teller().tell(seen(away))
  expect(told()).toEqual(['lazy.degraded'])
  teller('sha256:2').tell(seen({}, true))
  teller().tell(seen({}, true))
  expect(told()).toEqual(['lazy.degraded', 'lazy.recovered'])
})
