import type { DatabaseSyncInstance } from '@photostructure/sqlite'

/** What one thing had on disk at a time. */
export interface UsageSample {
  readonly kind: string
  readonly name: string
  readonly exclusiveBytes: number
  readonly physicalBytes: number
}

/** What things had on disk, by the hour. Never throws: a disk that is full or fails costs samples and nothing else. Times are milliseconds since the epoch. */
export interface UsageHistory {
  /** Whether the last look is of an earlier hour. */
  isDue(now: number): boolean
  /** Notes all that there is now: a row for what has changed since the last look, or is gone. */
  record(now: number, samples: readonly UsageSample[]): void
  /** What there was when it was last looked at up to that time; undefined when nobody had looked yet. */
  before(time: number): { readonly at: number; readonly samples: readonly UsageSample[] } | undefined
  /** Of the first look that is remembered. */
  oldest(): number | undefined
}

const hourMs = 3600e3
const dayMs = 24 * hourMs
/** Hours of the last week are told apart, before that days, and nothing for longer than a quarter of a year. */
const hourlyMs = 7 * dayMs
const keptMs = 92 * dayMs
/** Some 20 MB. Beyond it the oldest is forgotten early. */
const maxRows = 200_000

interface Row {
  readonly kind: string
  readonly name: string
  readonly exclusive: number
  readonly physical: number
}

export function usageHistoryOn(db: DatabaseSyncInstance): UsageHistory {
  const insert = db.prepare(
    'INSERT OR REPLACE INTO usage_samples (kind, name, at, exclusive, physical) VALUES (?, ?, ?, ?, ?)',
  )
  const look = db.prepare('INSERT OR REPLACE INTO usage_looks (at) VALUES (?)')
  const newestLook = db.prepare('SELECT max(at) AS at FROM usage_looks WHERE at <= ?')
  const oldestLook = db.prepare('SELECT min(at) AS at FROM usage_looks')
  const asOf = db.prepare(
    `SELECT kind, name, exclusive, physical FROM usage_samples AS s WHERE exclusive IS NOT NULL
       AND at = (SELECT max(at) FROM usage_samples WHERE kind = s.kind AND name = s.name AND at <= ?)`,
  )
  const lastLook = (time: number) => timeOf(newestLook.get(time))
  const samplesAt = (time: number) => (asOf.all(time) as unknown as Row[]).map(sampleOf)

  return {
    isDue: (now) => orElse(false, () => Math.floor(now / hourMs) > Math.floor((lastLook(now) ?? 0) / hourMs)),
    record(now, samples) {
      orElse(undefined, () =>
        inTransaction(db, () => {
          const before = new Map(samplesAt(now).map((sample) => [keyOf(sample), sample]))
          for (const sample of samples) {
            const known = before.get(keyOf(sample))
            before.delete(keyOf(sample))
            if (known?.exclusiveBytes === sample.exclusiveBytes && known.physicalBytes === sample.physicalBytes)
              continue
            insert.run(sample.kind, sample.name, now, sample.exclusiveBytes, sample.physicalBytes)
          }
          for (const gone of before.values()) insert.run(gone.kind, gone.name, now, null, null)
          look.run(now)
          forget(db, now)
        }),
      )
    },
    before: (time) =>
      orElse(undefined, () => {
        const at = lastLook(time)
        return at === undefined ? undefined : { at, samples: samplesAt(at) }
      }),
    oldest: () => orElse(undefined, () => timeOf(oldestLook.get())),
  }
}

function forget(db: DatabaseSyncInstance, now: number): void {
  // Of days that are over longer ago, the last row of each.
  db.prepare(
    `DELETE FROM usage_samples AS s WHERE at < ? AND EXISTS
       (SELECT 1 FROM usage_samples WHERE kind = s.kind AND name = s.name AND at > s.at AND at / ${dayMs} = s.at / ${dayMs})`,
  ).run(now - hourlyMs)
  forgetBefore(db, now - keptMs)
  const excess = db.prepare(`SELECT at FROM usage_samples ORDER BY at DESC LIMIT 1 OFFSET ${maxRows}`).get()
  const crowded = timeOf(excess)
  if (crowded !== undefined) forgetBefore(db, crowded)
}

/** What there was at that time stays known, and nothing about how it came to be so. */
function forgetBefore(db: DatabaseSyncInstance, time: number): void {
  db.prepare(
    `DELETE FROM usage_samples AS s WHERE at < ? AND
       (exclusive IS NULL OR EXISTS (SELECT 1 FROM usage_samples WHERE kind = s.kind AND name = s.name AND at > s.at AND at <= ?))`,
  ).run(time, time)
  db.prepare('DELETE FROM usage_looks WHERE at < ?').run(time)
}

function inTransaction(db: DatabaseSyncInstance, work: () => void): void {
  db.exec('BEGIN')
  try {
    work()
    db.exec('COMMIT')
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}

function orElse<T>(otherwise: T, work: () => T): T {
  try {
    return work()
  } catch {
    // What is on disk is measured, not remembered: history is a convenience.
    return otherwise
  }
}

function timeOf(row: unknown): number | undefined {
  return (row as { at: number | null } | undefined)?.at ?? undefined
}

function sampleOf({ kind, name, exclusive, physical }: Row): UsageSample {
  return { kind, name, exclusiveBytes: exclusive, physicalBytes: physical }
}

function keyOf({ kind, name }: Pick<UsageSample, 'kind' | 'name'>): string {
  return `${kind} ${name}`
}
