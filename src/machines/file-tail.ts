import { open } from 'node:fs/promises'

export interface FileTail {
  /** Only what comes after this byte; 0 when left out. */
  readonly from?: number
  readonly maxBytes: number
}

/** The end of a log, as latin1; empty when it cannot be read: a tail only ever explains something else. */
export async function fileTail(path: string, { from = 0, maxBytes }: FileTail): Promise<string> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    // A log that is shorter than it was has been truncated since: all of it is new.
    const start = Math.max(size < from ? 0 : from, size - maxBytes)
    const buffer = Buffer.alloc(Math.max(0, size - start))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, start)
    return buffer.toString('latin1', 0, bytesRead)
  } catch {
    return ''
  }
}
