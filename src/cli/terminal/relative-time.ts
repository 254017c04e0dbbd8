const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
] as const

/**
 * How long ago a time was, in its largest unit: `3h ago`, `just now`. A time to come, from a clock that is off, is just now too. `-` for the beginning of time, which is what
 * a thing has of which nothing can be read.
 */
export function relativeTime(iso: string, now: number = Date.now()): string {
  if (Date.parse(iso) === 0) return '-'
  const seconds = Math.floor((now - Date.parse(iso)) / 1000)
  for (const [unit, length] of units) {
    if (seconds >= length) return `${Math.floor(seconds / length)}${unit} ago`
  }
  return seconds >= 10 ? `${seconds}s ago` : 'just now'
}
