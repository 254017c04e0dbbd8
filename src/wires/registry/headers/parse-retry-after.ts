/** Nobody waits longer; a date far away must not become a number that timers cannot hold. */
const longestMs = 24 * 3600 * 1000

/**
 * Milliseconds to wait, from seconds or from a date; undefined when it is neither.
 *
 * @see RFC 9110, section 10.2.3
 */
export function parseRetryAfter(header: string, now: number = Date.now()): number | undefined {
  const text = header.trim()
  if (/^\d{1,10}$/.test(text)) return Math.min(Number(text) * 1000, longestMs)
  // Date.parse takes many things for dates, negative numbers too; an HTTP date begins with the day of the week.
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.min(Math.max(0, at - now), longestMs)
}
