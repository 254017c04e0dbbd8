import { type FileHandle, open } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { DigestHasher, Problem, problemFromSystem } from '../../base/index.ts'
import type { StoredPart } from '../../formats/index.ts'
import { openZstdCompressor, type ZstdCompressor } from '../../host/index.ts'

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

/** More would keep the threads of the pool, of which there are four, from everybody else. */
const maxLanes = 3

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
  for await (const frame of frames(from, lengths)) {
    if (signal?.aborted) throw new Problem('CANCELLED', 'it was stopped on request')
    hasher.update(frame)
    await to.writeFile(frame)
    storedLengths[chunk] = frame.length
    done += lengths[chunk++] ?? 0
    onBytes?.(done)
  }
  return { digest: hasher.digest(), lengths, storedLengths, storedBytes: hasher.bytes }
}

/** In order; each compressor has one chunk at a time. */
async function* frames(from: FileHandle, lengths: Uint32Array): AsyncGenerator<Buffer> {
  const lanes = Array.from({ length: Math.min(maxLanes, availableParallelism()) }, () =>
    openZstdCompressor(compressionLevel),
  )
  const pending: Promise<Buffer>[] = []
  try {
    let offset = 0
    for (const [at, length] of lengths.entries()) {
      // The one that has waited longest is the one whose compressor is next.
      if (pending.length === lanes.length) yield await first(pending)
      const lane = lanes[at % lanes.length]
      if (lane !== undefined) pending.push(frame(from, lane, { offset, length }))
      offset += length
    }
    while (pending.length > 0) yield await first(pending)
  } finally {
    await Promise.allSettled(pending)
    for (const lane of lanes) lane.free()
  }
}

/** It stays among those that are waited for until it has ended. */
async function first(pending: Promise<Buffer>[]): Promise<Buffer> {
  const result = await (pending[0] ?? Buffer.alloc(0))
  pending.shift()
  return result
}

async function frame(
  from: FileHandle,
  compressor: ZstdCompressor,
  { offset, length }: { offset: number; length: number },
) {
  const chunk = Buffer.allocUnsafeSlow(length)
  for (let read = 0; read < length; ) {
    const { bytesRead } = await from.read(chunk, read, length - read, offset + read)
    if (bytesRead === 0) throw new Problem('IO_FAILED', `a part of a lower ends before byte ${offset + length}`)
    read += bytesRead
  }
  return await compressor.compress(chunk)
}
