import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'

/** How long this thread may go without a turn of its event loop, in which it could be told to end; milliseconds. */
const turnMs = 50

/**
 * Keeps work within a rate.
 *
 * @param rate bytes in a second; undefined for as fast as it goes
 * @returns to be called after so many bytes
 */
export function openPace(rate: number | undefined): (bytes: number) => Promise<void> {
  const start = performance.now()
  let [done, last] = [0, start]
  return async (bytes) => {
    done += bytes
    const ahead = rate === undefined ? 0 : (done / rate) * 1000 - (performance.now() - start)
    if (ahead < 1 && performance.now() - last < turnMs) return
    if (ahead >= 1) await sleep(ahead)
    else await nextTurn()
    last = performance.now()
  }
}
