import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'

/** A quarter of a processor where one other thread wants it, all of it where nobody does. */
const niceness = 5

/**
 * Lets the other threads of this process go first, from now on: this one has much to do, and nobody waits for each bit of it. Only Linux gives
 * threads a priority of their own; elsewhere, and where it is not allowed, all go on as equals.
 *
 * @see setpriority(2), "C library/kernel differences"
 */
export function giveWay(): void {
  try {
    // PID/task/TID
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1))
    setPriority(thread, niceness)
  } catch {
    // No worse than before.
  }
}
