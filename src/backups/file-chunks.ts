import type { FileHandle } from 'node:fs/promises'
import { Problem } from '../base/index.ts'
import { dataSegments } from '../host/index.ts'
import { chunkBytes } from './format/chunk.ts'

/** The chunks of a file's grid that are not holes, in order, by number. */
export function* chunkGrid(file: FileHandle, bytes: number): Generator<number> {
  let next = 0
  for (const { offset, length } of dataSegments(file.fd, 0, bytes)) {
    const end = Math.ceil((offset + length) / chunkBytes)
    for (next = Math.max(next, Math.floor(offset / chunkBytes)); next < end; next++) yield next
  }
}

/** The content of each of those; the last one of a file may be short. @throws Problem IO_FAILED when the file became shorter */
export async function* fileChunks(file: FileHandle, bytes: number): AsyncGenerator<{ at: number; content: Buffer }> {
  for (const at of chunkGrid(file, bytes)) {
    const content = Buffer.allocUnsafeSlow(Math.min(chunkBytes, bytes - at * chunkBytes))
    for (let done = 0; done < content.length; ) {
      const { bytesRead } = await file.read(content, done, content.length - done, at * chunkBytes + done)
      if (bytesRead === 0) throw new Problem('IO_FAILED', 'the file became shorter while it was read')
      done += bytesRead
    }
    yield { at, content }
  }
}

const zeros = Buffer.alloc(chunkBytes)

/** Whether a piece of at most a chunk is as good as a hole. */
export function isZero(content: Buffer): boolean {
  return content.equals(zeros.subarray(0, content.length))
}
