import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openIndex } from './index.ts'
import { openIndexDb } from './open-index-db.ts'
import { usageHistoryOn } from './usage-history.ts'

const dir = mkdtempSync(join(tmpdir(), 'cowshed-history-'))
afterAll(() => rmSync(dir, { recursive: true }))

const [hour, day] = [3600e3, 24 * 3600e3]
const start = Date.parse('2026-01-01T00:30:00Z')
const sample = (name: string, bytes: number) => ({
  kind: 'shed',
  name,
  exclusiveBytes: bytes,
  physicalBytes: 2 * bytes,
})

function open() {
  const { db } = openIndexDb(':memory:')
  const rows = () => Number((db.prepare('SELECT count(*) AS n FROM usage_samples').get() as { n: number }).n)
  return { history: usageHistoryOn(db), rows }
}

describe('the history of usage', () => {
  test('knows what there was at any time since its first look, and gives it back after a restart', () => {
    const path = join(dir, 'index.db')
    const first = openIndex(path)
    expect([first.history.before(start), first.history.oldest()]).toEqual([undefined, undefined])
    first.history.record(start, [sample('a', 1), sample('b', 1)])
    first.history.record(start + hour, [sample('a', 5)])
    first.events.close()
    const { history, events } = openIndex(path)
    expect(history.before(start - 1)).toBeUndefined()
    expect(history.before(start + hour - 1)).toEqual({ at: start, samples: [sample('a', 1), sample('b', 1)] })
    expect(history.before(start + 9 * day)).toEqual({ at: start + hour, samples: [sample('a', 5)] })
    expect(history.oldest()).toBe(start)
    events.close()
  })

  test('is due once an hour, and takes a row for what has changed alone', () => {
    const { history, rows } = open()
    expect(history.isDue(start)).toBe(true)
    history.record(start, [sample('a', 1), sample('b', 1)])
    expect([history.isDue(start + hour / 2 - 1), history.isDue(start + hour / 2)]).toEqual([false, true])
    for (let n = 1; n < 100; n++) history.record(start + n * hour, [sample('a', 1), sample('b', 1)])
    expect(rows()).toBe(2)
    history.record(start + 100 * hour, [sample('b', 2)])
    expect(rows()).toBe(4)
    expect(history.before(start + 100 * hour)?.samples).toEqual([sample('b', 2)])
  })

  test('keeps hours for a week, days for a quarter of a year, and what never changes for as long as it is there', () => {
    const { history, rows } = open()
    for (let n = 0; n <= 100 * 24; n += 6) history.record(start + n * hour, [sample('grows', n), sample('stays', 7)])
    const end = start + 100 * day
    // Four rows a day for a week, one a day before, and the one of what stays.
    expect(rows()).toBeLessThan(7 * 4 + 92 + 8)
    expect(history.before(end - 30 * hour)?.samples).toEqual([sample('grows', 100 * 24 - 30), sample('stays', 7)])
    expect(history.before(end - 50 * day)?.samples).toContainEqual(sample('stays', 7))
    expect(history.before(end - 99 * day)).toBeUndefined()
    expect(history.oldest()).toBeGreaterThanOrEqual(end - 92 * day)
  })

  test('forgets nothing worth an error: of an index that fails there is no history, and nobody fails for it', () => {
    const path = join(dir, 'failing.db')
    const { db } = openIndexDb(path)
    const history = usageHistoryOn(db)
    db.exec('DROP TABLE usage_samples')
    history.record(start, [sample('a', 1)])
    expect(history.before(start)).toBeUndefined()
    db.close()
    expect([history.isDue(start), history.oldest()]).toEqual([false, undefined])
  })
})
