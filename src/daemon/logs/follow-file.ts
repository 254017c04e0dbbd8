import { type FileHandle, open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoCode, problemFromSystem } from '../../base/index.ts'

export interface FollowFile {
  /** Offset of the first byte wanted. */
  readonly from: number
  /** Whether to wait for more at the end, until the file is removed or the signal aborts. */
  readonly follow: boolean
  readonly signal: AbortSignal
}

const blockBytes = 64 * 1024
const windowBytes = 2 ** 20
const pollMs = 150
/** How many of the bytes given last are remembered, to find the place again after a truncation. */
const markBytes = 256

/**
 * Reads a file from an offset on, and what is appended to it. A file that is truncated in place while it is followed (a prune keeps the last
 * bytes of a log that way) goes on where it was: what was given already is not given again, what is new is not lost. An absent file is empty.
 */
export async function* followFile(path: string, { from, follow, signal }: FollowFile): AsyncGenerator<Buffer> {
  const file = await openIfThere(path)
  if (file === undefined) return
  try {
    let place: Place = { offset: from, mark: await markAt(file, from) }
    for (;;) {
      const chunk = await readAt(file, place.offset, blockBytes)
      if (chunk.length > 0) {
        place = { offset: place.offset + chunk.length, mark: nextMark(place.mark, chunk) }
        yield chunk
        continue
      }
      if (!follow || (await isRemoved(file)) || !(await waited(signal))) return
      place = await findAgain(file, place)
    }
  } finally {
    await file.close()
  }
}

interface Place {
  readonly offset: number
  /** The bytes just before the offset. */
  readonly mark: Buffer
}

/** The same place in a file that may have been cut: behind the bytes given last, or, when these are gone, at the beginning. */
async function findAgain(file: FileHandle, place: Place): Promise<Place> {
  const now = await markAt(file, place.offset, place.mark.length)
  if (now.equals(place.mark)) return place
  const found = await findLast(file, place.mark)
  return found === undefined
    ? { offset: 0, mark: Buffer.alloc(0) }
    : { offset: found + place.mark.length, mark: place.mark }
}

/** Where bytes occur last in a file, searched from its end window by window. */
async function findLast(file: FileHandle, bytes: Buffer): Promise<number | undefined> {
  for (let end = (await file.stat()).size; end > 0; end -= windowBytes) {
    const start = Math.max(0, end - windowBytes)
    // Windows overlap so that no occurrence falls between two.
    const window = await readAt(file, start, end - start + bytes.length - 1)
    const at = window.lastIndexOf(bytes)
    if (at >= 0) return start + at
  }
  return undefined
}

function markAt(file: FileHandle, offset: number, length = Math.min(offset, markBytes)): Promise<Buffer> {
  return length === 0 ? Promise.resolve(Buffer.alloc(0)) : readAt(file, offset - length, length)
}

function nextMark(mark: Buffer, chunk: Buffer): Buffer {
  const joined = chunk.length >= markBytes ? chunk : Buffer.concat([mark, chunk])
  return Buffer.from(joined.subarray(Math.max(0, joined.length - markBytes)))
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  const { bytesRead } = await file.read(buffer, 0, length, offset)
  return buffer.subarray(0, bytesRead)
}

async function isRemoved(file: FileHandle): Promise<boolean> {
  return (await file.stat()).nlink === 0
}

async function waited(signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(pollMs, undefined, { signal })
    return true
  } catch {
    return false
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw problemFromSystem(error, `read ${path}`)
  }
}
