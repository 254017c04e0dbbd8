import { libc } from './libc.ts'

/** Whether an open file that is no regular one has something to read, or has come to its end. @see poll(2) */
export function isReadable(fd: number): boolean {
  return libc().poll(pollOf(fd)) > 0
}

/**
 * Waits for that, on a thread of the pool. A process cannot end while one of those waits: that is why there is a limit.
 *
 * @returns whether it is readable
 */
export async function untilReadable(fd: number, milliseconds: number): Promise<boolean> {
  return (await libc().pollAsync(pollOf(fd), milliseconds)) > 0
}

/** struct pollfd of poll.h: int fd, short events, short revents. */
function pollOf(fd: number): Uint8Array {
  const polled = Buffer.alloc(8)
  polled.writeInt32LE(fd, 0)
  polled.writeInt16LE(POLLIN, 4)
  return polled
}

const POLLIN = 1
