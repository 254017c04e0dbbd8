import { lastError, libc } from './libc.ts'

export interface Segment {
  readonly offset: number
  readonly length: number
}

/**
 * The parts of an open file between `start` and `end` (bytes) that hold data, in order; the rest of it are holes. Where the filesystem
 * cannot tell, all of it is data. It moves the file's position.
 *
 * @throws a system error
 * @see lseek(2), SEEK_DATA and SEEK_HOLE
 */
export function* dataSegments(fd: number, start: number, end: number): Generator<Segment> {
  for (let at = start; at < end; ) {
    const offset = seek(fd, at, SEEK_DATA)
    if (offset === undefined || offset >= end) return
    const hole = seek(fd, offset, SEEK_HOLE)
    // A file that was cut short since has no hole to find.
    if (hole === undefined) return
    yield { offset, length: Math.min(hole, end) - offset }
    at = hole
  }
}

/** undefined when there is no more data. */
function seek(fd: number, offset: number, whence: number): number | undefined {
  const found = libc().lseek(fd, offset, whence)
  if (found >= 0) return Number(found)
  const error = lastError('lseek')
  if (error.code === 'ENXIO') return undefined
  if (error.code === 'EINVAL') return whence === SEEK_DATA ? offset : Number.MAX_SAFE_INTEGER
  throw error
}

/** unistd.h */
const SEEK_DATA = 3
const SEEK_HOLE = 4
