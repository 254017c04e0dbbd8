import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { isProblem, Problem, problemFromSystem } from '../base/index.ts'
import { readFreeBlocks } from '../formats/index.ts'
import { dataSegments, punchHole } from '../host/index.ts'

export interface TrimDisk {
  readonly path: string
  readonly dryRun: boolean
}

export interface TrimmedDisk {
  /** What the guest's filesystem has free. */
  readonly freeBytes: number
  /** What of that was data on the host, and is a hole now; would be, in a dry run. */
  readonly punchedBytes: number
}

/**
 * Makes holes of what a guest's filesystem has free on a disk that no VM has open: the caller sees to that. It is not mounted, only its block bitmaps are read. What
 * is punched may be punched again, so it may be killed at any point.
 *
 * @throws Problem EXT4_INVALID when anything about the filesystem is not in order: nothing has been done then; FILE_NOT_FOUND, IO_FAILED
 */
export async function trimDisk({ path, dryRun }: TrimDisk): Promise<TrimmedDisk> {
  try {
    const fd = openSync(path, dryRun ? constants.O_RDONLY : constants.O_RDWR)
    try {
      return await trim(fd, dryRun)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (isProblem(error, 'EXT4_INVALID')) throw untrimmable(path, error)
    throw problemFromSystem(error, `trim ${path}`)
  }
}

async function trim(fd: number, dryRun: boolean): Promise<TrimmedDisk> {
  const { size } = fstatSync(fd)
  const { runs, blockBytes } = readFreeBlocks({ bytes: size, read: (offset, length) => readRange(fd, offset, length) })
  let [freeBytes, punchedBytes] = [0, 0]
  for (const { block, blocks } of runs) {
    const [start, end] = [block * blockBytes, (block + blocks) * blockBytes]
    freeBytes += end - start
    // Found before the first is punched: a hole moves nothing but the end of the search.
    for (const { offset, length } of [...dataSegments(fd, start, end)]) {
      punchedBytes += length
      if (!dryRun) await punchHole(fd, offset, length)
    }
  }
  return { freeBytes, punchedBytes }
}

function readRange(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  const got = readSync(fd, bytes, 0, length, offset)
  return bytes.subarray(0, got)
}

function untrimmable(path: string, cause: Problem): Problem {
  return new Problem('EXT4_INVALID', `cannot tell what is free on ${path}: ${cause.message}`, {
    hint: 'start the shed and stop it, which puts its filesystem in order; or trim it while it runs',
    cause,
  })
}
