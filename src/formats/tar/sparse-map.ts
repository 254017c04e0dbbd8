import { limitExceeded, tarInvalid } from './tar-invalid.ts'
import type { TarLimits } from './tar-limits.ts'

/** A run of a sparse file whose bytes are in the archive; all between is zeros. */
export interface Segment {
  readonly offset: number
  readonly length: number
}

export interface SparseMap {
  /** Bytes of the file, holes included. */
  readonly realSize: number
  readonly segments: readonly Segment[]
}

/**
 * Refuses a map that could make two readers see two files: segments that overlap, run backwards or past the end, or do not add up to the
 * bytes that the archive holds.
 *
 * @throws Problem TAR_INVALID, LIMIT_EXCEEDED
 */
export function checkSparseMap(
  { realSize, segments }: SparseMap,
  { storedSize, limits }: { storedSize: number; limits: TarLimits },
): void {
  checkSegmentCount(segments.length, limits)
  let position = 0
  let stored = 0
  for (const { offset, length } of segments) {
    if (offset < position || length < 0 || offset + length > realSize)
      throw tarInvalid('the map of the sparse file is out of order')
    position = offset + length
    stored += length
  }
  if (stored !== storedSize) {
    throw tarInvalid(`the map of the sparse file has ${stored} bytes of data, the archive ${storedSize}`)
  }
}

export function checkSegmentCount(count: number, { maxSparseSegments }: TarLimits): void {
  if (count > maxSparseSegments) throw limitExceeded(`the sparse file has more than ${maxSparseSegments} segments`)
}
