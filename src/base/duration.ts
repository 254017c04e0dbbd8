import { Problem } from './problem.ts'

const units: Record<string, number> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 }

/**
 * Milliseconds of a duration as people write it: `72h`, `1h30m`, `250ms`, `7d`, `0s`. A bare number other than 0 is refused: nobody
 * knows what it means.
 *
 * @throws Problem INVALID_REQUEST, also for a negative duration
 */
export function parseDuration(text: string): number {
  const trimmed = text.trim()
  if (trimmed === '0') return 0
  let total = 0
  let rest = trimmed
  while (rest !== '') {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)/.exec(rest)
    if (match === null) break
    total += Number(match[1]) * (units[match[2] as string] as number)
    rest = rest.slice(match[0].length)
  }
  if (trimmed === '' || rest !== '' || !Number.isSafeInteger(Math.round(total))) {
    throw new Problem('INVALID_REQUEST', `not a duration: ${JSON.stringify(text.slice(0, 40))}`, {
      hint: 'write it like 72h, 1h30m, 7d or 0s',
    })
  }
  return Math.round(total)
}

/** A duration for people, in at most two units: `72h`, `3h 5m`, `40s`, `12ms`. */
export function formatDuration(milliseconds: number): string {
  const ms = Math.max(0, Math.round(milliseconds))
  if (ms === 0) return '0s'
  if (ms < 1000) return `${ms}ms`
  const seconds = Math.floor(ms / 1000)
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return twoUnits(minutes, 'm', seconds % 60, 's')
  const hours = Math.floor(minutes / 60)
  if (hours < 100) return twoUnits(hours, 'h', minutes % 60, 'm')
  return twoUnits(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

function twoUnits(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big}${bigUnit}` : `${big}${bigUnit} ${small}${smallUnit}`
}
