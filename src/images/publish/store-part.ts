import { type FileHandle, open } from 'node:fs/promises'
import { DigestHasher, Problem, problemFromSystem } from '../../base/index.ts'
import type { StoredPart } from '../../formats/index.ts'
import { zstdFrames } from '../../host/index.ts'

export interface StorePart {
  /** The part as it is in the lower. */
  readonly from: string
  /** Bytes of each chunk; together the whole file. */
  readonly lengths: Uint32Array
  /** A file that does not exist yet. */
  readonly to: string
  /** Hears how many bytes of the part are done. */
  readonly onBytes?: ((done: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** See docs/decisions/0045-chunks-and-their-compression.md. */
export const compressionLevel = 9

/**
 * Compresses a part of a lower, chunk by chunk, several at a time: memory for two chunks each. The same bytes from the same libzstd, whatever
 * number is at work.
 *
 * @returns where its chunks are, and the bytes of the blob
 * @throws Problem NO_SPACE, IO_FAILED, TOOL_NOT_FOUND, CANCELLED
 */
export async function storePart(request: StorePart): Promise<StoredPart & { readonly storedBytes: number }> {
  try {
    await using from = await open(request.from, 'r')
    await using to = await open(request.to, 'wx', 0o600)
    return await writeFrames(from, to, request)
  } catch (error) {
    throw problemFromSystem(error, `compress ${request.from}`)
  }
}

async function writeFrames(from: FileHandle, to: FileHandle, { lengths, onBytes, signal }: StorePart) {
  const hasher = new DigestHasher()
  const storedLengths = new Uint32Array(lengths.length)
  let [chunk, done] = [0, 0]
  for await (const frame of zstdFrames(chunks(from, lengths), compressionLevel)) {
    if (signal?.aborted) throw new Problem('CANCELLED', 'it was stopped on request')
    hasher.update(frame)
    await to.writeFile(frame)
    storedLengths[chunk] = frame.length
    done += lengths[chunk++] ?? 0
    onBytes?.(done)
  }
  return { digest: hasher.digest(), lengths, storedLengths, storedBytes: hasher.bytes }
}

async function* chunks(from: FileHandle, lengths: Uint32Array): AsyncGenerator<Buffer> {
  let offset = 0
  for (const length of lengths) {
    const chunk = Buffer.allocUnsafeSlow(length)
    for (let read = 0; read < length; ) {
      const { bytesRead } = await from.read(chunk, read, length - read, offset + read)
      if (bytesRead === 0) throw new Problem('IO_FAILED', `a part of a lower ends before byte ${offset + length}`)
      read += bytesRead
    }
    yield chunk
    offset += length
  }
}
