import { Problem, printableBytes } from '../../base/index.ts'
import { blockSize } from './header-block.ts'
import { paxRecord } from './pax-writer.ts'
import type { Segment } from './sparse-map.ts'
import { paxMember, tarHeader, tarPadding } from './tar-header.ts'

export interface SparseEntry {
  readonly path: Buffer
  readonly mode?: number
  /** Bytes of the file, holes included. */
  readonly size: number
  /** What of it is in the archive, in order: whole blocks of 512 bytes, the last one excepted. */
  readonly segments: readonly Segment[]
}

/**
 * The header of a file with holes, with its map (PAX sparse form 1.0: GNU tar and libarchive make the holes again). After it come the bytes of the
 * segments, one after another, and `tarPadding` of their sum.
 *
 * @throws Problem TAR_INVALID for segments that overlap, are empty, out of order, out of the file or not of whole blocks; what tarHeader throws
 * @see GNU tar manual, "Storing Sparse Files"
 */
export function sparseTarHeader({ path, mode, size, segments }: SparseEntry): Buffer {
  checkSegments(path, size, segments)
  // GNU tar makes a file no longer than its map: where it ends in a hole, an empty segment says where that ends.
  const last = segments.at(-1)
  const mapped =
    last !== undefined && last.offset + last.length === size ? segments : [...segments, { offset: size, length: 0 }]
  const text = Buffer.from([mapped.length, ...mapped.flatMap(({ offset, length }) => [offset, length]), ''].join('\n'))
  const map = Buffer.concat([text, tarPadding(text.length)])
  const stored = map.length + segments.reduce((sum, { length }) => sum + length, 0)
  const records = [
    paxRecord('GNU.sparse.major', '1'),
    paxRecord('GNU.sparse.minor', '0'),
    paxRecord('GNU.sparse.name', path),
    paxRecord('GNU.sparse.realsize', String(size)),
    // Beside a PAX header none of its own may stand: what does not fit is said here.
    ...(stored < largestUstarSize ? [] : [paxRecord('size', String(stored))]),
  ]
  const block = tarHeader({
    path: storedName,
    type: 'file',
    mode: mode ?? 0o644,
    size: Math.min(stored, largestUstarSize),
  })
  return Buffer.concat([paxMember(Buffer.concat(records)), block.subarray(-blockSize), map])
}

/** 11 octal digits. */
const largestUstarSize = 8 ** 11 - 1

/** What readers see that do not know the form. */
const storedName = Buffer.from('GNUSparseFile.0/file')

function checkSegments(path: Buffer, size: number, segments: readonly Segment[]): void {
  let end = 0
  for (const [i, { offset, length }] of segments.entries()) {
    // GNU tar begins each at a new block.
    const isWhole = length % blockSize === 0 || i === segments.length - 1
    if (offset < end || length <= 0 || offset + length > size || !isWhole) {
      throw new Problem(
        'TAR_INVALID',
        `${printableBytes(path)} cannot be written to a tar archive: its map is not in order`,
      )
    }
    end = offset + length
  }
}
