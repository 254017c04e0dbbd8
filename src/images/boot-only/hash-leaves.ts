import { createReadStream } from 'node:fs'
import { Problem, problemFromSystem } from '../../base/index.ts'
import { LeafHasher } from '../../formats/index.ts'

export interface HashLeaves {
  /** The files that the lower is, one after the other. */
  readonly paths: readonly string[]
  /** Hears how many bytes are done. */
  readonly onBytes?: ((done: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

const readBytes = 1 << 20

/** The hashes of a lower's leaves. @throws Problem IO_FAILED, CANCELLED */
export async function hashLeaves({ paths, onBytes, signal }: HashLeaves): Promise<Buffer> {
  const hasher = new LeafHasher()
  let done = 0
  for (const path of paths) {
    try {
      for await (const chunk of createReadStream(path, { highWaterMark: readBytes }) as AsyncIterable<Buffer>) {
        if (signal?.aborted) throw new Problem('CANCELLED', 'it was stopped on request')
        hasher.update(chunk)
        done += chunk.length
        onBytes?.(done)
      }
    } catch (error) {
      throw problemFromSystem(error, `read ${path}`)
    }
  }
  return hasher.finish()
}
