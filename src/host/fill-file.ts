import { open } from 'node:fs/promises'
import { Problem, problemFromSystem } from '../base/index.ts'
import type { FilePart } from './assemble-file.ts'
import { type OpenFile, placePart } from './place-part.ts'

export interface PlacedPart extends FilePart {
  /** Bytes into the file that is filled. */
  readonly at: number
}

export interface WhileFilling {
  /** Hears now and then how many bytes are in their place. */
  readonly onProgress?: (bytes: number) => void
  /** Looked at between two parts. */
  readonly signal?: AbortSignal
}

const reportBytes = 16 << 20

/**
 * Puts parts of other files at their places in `dst`, which exists and has its size: parts whose ends are all multiples of 4096 share their extents
 * where the filesystem can, all others are copied; holes stay holes. It is not durable yet.
 *
 * @returns `ficlonerange` when every part shares its extents with its source; `copy` when at least one had to be copied
 * @throws Problem FILE_NOT_FOUND, NO_SPACE, IO_FAILED, CANCELLED; some of the parts may be there then
 */
export async function fillFile(
  dst: string,
  parts: readonly PlacedPart[],
  { onProgress, signal }: WhileFilling = {},
): Promise<'ficlonerange' | 'copy'> {
  const sources = new Map<string, OpenFile>()
  const sourceAt = async (path: string) => {
    const known = sources.get(path) ?? { path, file: await open(path, 'r') }
    sources.set(path, known)
    return known
  }
  let how: 'share' | 'copy' = 'share'
  let [bytes, reported] = [0, 0]
  try {
    await using file = await open(dst, 'r+')
    for (const { path, offset, length, at } of parts) {
      if (signal?.aborted) throw new Problem('CANCELLED', 'it was stopped on request')
      const part = { from: await sourceAt(path), to: { file, path: dst }, fromOffset: offset, toOffset: at, length }
      // Where one cannot be shared, none can.
      if ((await placePart(part, how)) === 'copied') how = 'copy'
      bytes += length
      if (bytes - reported < reportBytes) continue
      reported = bytes
      onProgress?.(bytes)
    }
  } catch (error) {
    throw problemFromSystem(error, `fill ${dst}`)
  } finally {
    await Promise.all([...sources.values()].map(({ file }) => file.close()))
  }
  return how === 'share' ? 'ficlonerange' : 'copy'
}
