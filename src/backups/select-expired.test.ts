import { expect, test } from 'vitest'
import type { Backup } from './repository/backups.ts'
import { selectExpired } from './select-expired.ts'

const backups = [
  backup('a', '2026-01-05T10:00:00.000Z'),
  backup('a', '2026-01-05T08:00:00.000Z'),
  backup('a', '2026-01-04T23:59:59.000Z'),
  backup('a', '2026-01-04T01:00:00.000Z'),
  backup('a', '2026-01-01T01:00:00.000Z'),
  backup('b', '2026-01-01T01:00:00.000Z'),
]

test.each([
  [{}, []],
  [{ keepLast: 1 }, [1, 2, 3, 4]],
  [{ keepLast: 2 }, [2, 3, 4]],
  [{ keepLast: 9 }, []],
  // The newest of each day that has any.
  [{ keepDaily: 1 }, [1, 2, 3, 4]],
  [{ keepDaily: 2 }, [1, 3, 4]],
  [{ keepDaily: 3 }, [1, 3]],
  [{ keepLast: 2, keepDaily: 2 }, [3, 4]],
])('with %o there go %o', (rules, gone) => {
  const expired = new Set(selectExpired([...backups].reverse(), rules))
  expect(backups.flatMap((each, at) => (expired.has(each) ? at : []))).toEqual(gone)
})

function backup(name: string, created_at: string): Backup {
  return {
    id: created_at,
    manifest: { version: 1, kind: 'volume', name, created_at, host: '', record: {}, files: [], added_bytes: 0 },
  }
}
