import { setTimeout as sleep } from 'node:timers/promises'

export interface FailedAttempts {
  /**
   * Resolves when a wrong token from this address may be refused: after longer with each one. What is right is not asked for here and waits for
   * nothing.
   *
   * @returns false, at once, when too many of them wait already
   */
  wait(address: string): Promise<boolean>
}

export interface FailedAttemptsOptions {
  readonly firstMs?: number
  readonly longestMs?: number
}

/** Of one address, and of all of them: each holds a connection. */
const mostWaiting = { each: 8, all: 256 }
/** Addresses that are remembered, and for how long after their last failure. */
const mostAddresses = 10_000
const forgetMs = 10 * 60_000

interface Record {
  count: number
  waiting: number
  lastAt: number
}

/** Slows down whoever guesses tokens. */
export function failedAttempts({ firstMs = 100, longestMs = 5000 }: FailedAttemptsOptions = {}): FailedAttempts {
  /** In the order of their last failures. */
  const records = new Map<string, Record>()
  let waiting = 0

  return {
    async wait(address) {
      const source = sourceOf(address)
      const record = remember(records, source)
      if (record.waiting >= mostWaiting.each || waiting >= mostWaiting.all) return false
      const delay = Math.min(longestMs, firstMs * 2 ** Math.min(record.count++, 20))
      record.waiting++
      waiting++
      await sleep(delay, undefined, { ref: false })
      record.waiting--
      waiting--
      return true
    },
  }
}

function remember(records: Map<string, Record>, source: string): Record {
  const now = Date.now()
  const record = records.get(source) ?? { count: 0, waiting: 0, lastAt: now }
  if (now - record.lastAt >= forgetMs) record.count = 0
  record.lastAt = now
  records.delete(source)
  records.set(source, record)
  for (const [oldest, { lastAt }] of records) {
    if (records.size <= mostAddresses && now - lastAt < forgetMs) break
    records.delete(oldest)
  }
  return record
}

/** Whoever has one IPv6 address has a /64 of them. IPv4 in IPv6 is IPv4. */
export function sourceOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined || !address.includes(':')) return mapped ?? address
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? []
  const groups = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros =
    tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - groups.length - after.length) }, () => '0')
  return `${[...groups, ...zeros, ...after].slice(0, 4).join(':')}::/64`
}
