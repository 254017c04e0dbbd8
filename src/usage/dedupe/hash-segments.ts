import { hash } from 'node:crypto'
import { closeSync, readSync } from 'node:fs'
import { type BlockHashes, type HashedAt, hashBytes, openBlockHashes } from './block-hashes.ts'
import type { DedupeFile } from './dedupe-job.ts'
import type { Segments } from './find-segments.ts'
import { openUnlessGone } from './open-named-files.ts'

export interface HashSegments {
  readonly segments: Segments
  readonly files: readonly DedupeFile[]
  readonly block: number
  readonly mappedAt: HashedAt
  readonly hashesOf: (file: DedupeFile) => string
  /** Told of bytes that are dealt with, and whether they were read for it; may wait. */
  readonly onHashed: (bytes: number, isRead: boolean) => Promise<void>
}

/** How much is read at once. */
const readBytes = 2 ** 20

/** Sees to it that the hashes of all segments are there, by their first references; reads what is not known from before. @throws a system error */
export async function hashSegments(work: HashSegments): Promise<void> {
  const { segments, files } = work
  for (let from = 0; from < segments.count; ) {
    const number = firstFile(segments, from)
    let to = from
    while (to < segments.count && firstFile(segments, to) === number) to++
    const file = files[number]
    if (file !== undefined && file.role !== 'counted') await hashFile(work, file, from, to)
    from = to
  }
}

/** The file that has the first reference to a segment. */
export function firstFile({ file, firstReference }: Segments, segment: number): number {
  return file[firstReference[segment] ?? 0] ?? 0
}

export function firstLogical({ logical, firstReference }: Segments, segment: number): number {
  return logical[firstReference[segment] ?? 0] ?? 0
}

async function hashFile(work: HashSegments, file: DedupeFile, from: number, to: number): Promise<void> {
  const { segments, block, mappedAt } = work
  using hashes = openBlockHashes(work.hashesOf(file), block, file, mappedAt)
  const fd = openUnlessGone(file.path)
  if (fd === undefined) return
  try {
    for (let segment = from; segment < to; segment++) {
      const isOld = hashes.trueUpTo === undefined || (segments.generation[segment] ?? 0) <= hashes.trueUpTo
      await hashSegment({ ...work, fd, hashes, segment, isOld })
    }
    hashes.confirm()
  } finally {
    closeSync(fd)
  }
}

interface HashSegment extends HashSegments {
  readonly fd: number
  readonly hashes: BlockHashes
  readonly segment: number
  /** What is known of it is true. */
  readonly isOld: boolean
}

async function hashSegment({ segments, segment, block, fd, hashes, isOld, onHashed }: HashSegment): Promise<void> {
  const [start, length] = [firstLogical(segments, segment), segments.length[segment] ?? 0]
  for (let done = 0; done < length; done += readBytes) {
    const bytes = Math.min(readBytes, length - done)
    const known = Buffer.alloc((bytes / block) * hashBytes)
    const first = (start + done) / block
    if (isOld) hashes.read(first, known)
    const isKnown = isOld && everyKnown(known)
    if (!isKnown) {
      // Before anything is written over: what is cut off here must not pass for true.
      if (!isOld) hashes.write(first, Buffer.alloc(known.length))
      hashes.write(first, hashBlocks(readRange(fd, start + done, bytes), block))
    }
    await onHashed(bytes, !isKnown)
  }
}

function everyKnown(hashes: Buffer): boolean {
  for (let at = 0; at < hashes.length; at += hashBytes) if (hashes.readBigUInt64LE(at) === 0n) return false
  return true
}

function readRange(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  const got = readSync(fd, bytes, 0, length, offset)
  return bytes.subarray(0, got)
}

function hashBlocks(bytes: Buffer, block: number): Buffer {
  const hashes = Buffer.alloc(Math.floor(bytes.length / block) * hashBytes)
  for (let at = 0; at + block <= bytes.length; at += block) {
    hash('sha256', bytes.subarray(at, at + block), 'buffer').copy(hashes, (at / block) * hashBytes, 0, hashBytes)
  }
  return hashes
}

/** The hash of a block of zeros. */
export function zeroHash(block: number): Buffer {
  return hashBlocks(Buffer.alloc(block), block)
}
