import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type Digest, Problem, parseDigest, problemFromSystem } from '../../base/index.ts'
import { type ChunkIndex, LeafHasher, leafBytes } from '../../formats/index.ts'

/** A lower that is one blob, as it is. */
export interface PlainBlob {
  readonly digest: Digest
  readonly bytes: number
}

/** The chunk index of a lower that came without one: one part, whose chunks are its leaves, each as it is. @param leaves the SHA-256 of each, one after the other */
export function plainIndex({ digest, bytes }: PlainBlob, leaves: Buffer): ChunkIndex {
  const lengths = Uint32Array.from({ length: Math.ceil(bytes / leafBytes) }, (_, at) =>
    Math.min(leafBytes, bytes - at * leafBytes),
  )
  return { writerVersion: 0, profile: 'plain', parts: [{ digest, lengths, storedLengths: lengths }], leaves }
}

export interface HashedFile {
  readonly digest: Digest
  readonly bytes: number
  /** The SHA-256 of each leaf, one after the other. */
  readonly leaves: Buffer
}

/**
 * The chunk index of a blob, made of a file that is all of it.
 *
 * @returns undefined when the file is another one
 * @throws Problem FILE_NOT_FOUND, IO_FAILED, CANCELLED
 */
export async function plainIndexOf(
  path: string,
  blob: PlainBlob,
  signal: AbortSignal | undefined,
): Promise<ChunkIndex | undefined> {
  const { digest, bytes, leaves } = await hashFile(path, signal)
  return digest === blob.digest && bytes === blob.bytes ? plainIndex(blob, leaves) : undefined
}

/** @throws Problem FILE_NOT_FOUND, IO_FAILED, CANCELLED */
export async function hashFile(path: string, signal: AbortSignal | undefined): Promise<HashedFile> {
  const hash = createHash('sha256')
  const leaves = new LeafHasher()
  let bytes = 0
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>) {
      if (signal?.aborted) throw new Problem('CANCELLED', 'it was stopped on request')
      hash.update(piece)
      leaves.update(piece)
      bytes += piece.length
    }
  } catch (error) {
    throw problemFromSystem(error, `read ${path}`)
  }
  return { digest: parseDigest(`sha256:${hash.digest('hex')}`), bytes, leaves: leaves.finish() }
}
