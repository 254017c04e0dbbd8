import { closeSync, constants, fstatSync, openSync, read, readSync } from 'node:fs'
import { promisify } from 'node:util'

const readAt = promisify(read)

/** Reading this much from the page cache takes some ten microseconds. */
const small = 64 * 1024

/**
 * Reads a file that is small as a rule: a record, a document. It is opened and, when it is small indeed, read in the open: such files are
 * nearly always in the page cache, and each of the four trips to another thread that a reading takes otherwise costs more than all of it.
 *
 * @param maxBytes what is beyond is not read; the result is one byte longer then, so that the caller sees it
 * @throws a system error
 */
export async function readSmallFile(path: string, { maxBytes }: { readonly maxBytes: number }): Promise<Buffer> {
  // NONBLOCK is for what should be a file and is a FIFO: nothing would ever wake this process.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const bytes = Buffer.allocUnsafe(Math.min(fstatSync(fd).size, maxBytes + 1))
    let filled = 0
    while (filled < bytes.length) {
      const rest = bytes.length - filled
      const count = rest <= small ? readSync(fd, bytes, filled, rest, null) : await readMore(fd, bytes, filled)
      // It became shorter meanwhile.
      if (count === 0) break
      filled += count
    }
    return bytes.subarray(0, filled)
  } finally {
    closeSync(fd)
  }
}

async function readMore(fd: number, bytes: Buffer, filled: number): Promise<number> {
  return (await readAt(fd, bytes, filled, bytes.length - filled, null)).bytesRead
}
