import { setTimeout as sleep } from 'node:timers/promises'

/** What a promise resolves to, or undefined when that takes longer. The timer keeps this process alive: a child that nobody waits for does not. */
export async function within<T>(promise: Promise<T> | undefined, milliseconds: number): Promise<T | undefined> {
  const giveUp = new AbortController()
  const late = sleep(milliseconds, undefined, { signal: giveUp.signal }).catch(() => undefined)
  try {
    return await Promise.race([promise, late])
  } finally {
    giveUp.abort()
  }
}
