import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { problemFromSystem } from '../base/index.ts'
import { dataRuns, hashRun, type PlacedBytes, readPieces } from './data-pieces.ts'
import { writeWhole } from './write-whole.ts'

export interface DataCopied {
  /** What was not zeros, and so was copied. */
  readonly dataBytes: number
}

export interface WithoutZeros extends DataCopied {
  /** Of all that is not zeros: of each block its place, as 8 bytes (little endian), and its bytes. Wherever holes are, it is the same. */
  readonly sha256: string
}

export interface CopyWithoutZeros {
  readonly from: string
  /** There, and nothing but a hole; it gets the size of `from`. Left out, `from` is only read. */
  readonly to?: string | undefined
}

/**
 * Copies a file and leaves out what is zeros in it, in blocks of 64 KiB: that is a hole in the copy. It is not durable yet.
 *
 * @throws Problem FILE_NOT_FOUND, NO_SPACE, IO_FAILED; some of it may be there then
 */
export async function copyWithoutZeros(files: CopyWithoutZeros): Promise<WithoutZeros> {
  const hash = createHash('sha256')
  const { dataBytes } = await copyFile(files, hash)
  return { sha256: hash.digest('hex'), dataBytes }
}

/** The same without a checksum, for what nobody keeps. */
export async function copyWithoutSum(files: Required<CopyWithoutZeros>): Promise<DataCopied> {
  return await copyFile(files, undefined)
}

async function copyFile({ from, to }: CopyWithoutZeros, hash: Hash | undefined): Promise<DataCopied> {
  try {
    await using source = await open(from, 'r')
    if (to === undefined) return await placePieces(readPieces(source), undefined, hash)
    await using target = await open(to, 'r+')
    await target.truncate((await source.stat()).size)
    return await placePieces(readPieces(source), target, hash)
  } catch (error) {
    throw problemFromSystem(error, to === undefined ? `read ${from}` : `copy ${from} to ${to}`)
  }
}

/** Writes each piece to its place without its zeros, and hashes it meanwhile; the next is asked for when both is done. @throws a system error; what `from` throws */
export async function placePieces(
  from: AsyncIterable<PlacedBytes>,
  target: FileHandle | undefined,
  hash: Hash | undefined,
): Promise<DataCopied> {
  let dataBytes = 0
  for await (const piece of from) {
    const runs = [...dataRuns(piece)]
    const writing = target === undefined ? Promise.resolve() : writeRuns(target, runs)
    writing.catch(() => undefined)
    for (const run of runs) {
      if (hash !== undefined) hashRun(hash, run)
      dataBytes += run.bytes.length
    }
    await writing
  }
  return { dataBytes }
}

async function writeRuns(target: FileHandle, runs: readonly PlacedBytes[]): Promise<void> {
  for (const { offset, bytes } of runs) await writeWhole(target, bytes, offset)
}
