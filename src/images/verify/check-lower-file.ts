import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { isProblem, problemFromSystem } from '../../base/index.ts'
import { blockSize, decodeChunkIndex, ErofsReader, LeafHasher } from '../../formats/index.ts'
import type { LowerKind } from '../lowers/lower-kind.ts'
import { type CachedLayer, writeBootstrap } from '../lowers/write-bootstrap.ts'

export interface CheckLowerFile extends LowerKind {
  readonly path: string
  /** What the lower is made of; undefined when the cache does not have all of it. */
  readonly layers: readonly CachedLayer[] | undefined
  /** The chunk index that it was published with, if it was. */
  readonly chunks: string | undefined
  readonly uuid: Uint8Array
  /** A file that does not exist yet, for its bootstrap made anew. */
  readonly scratch: string
}

interface Part {
  readonly path: string
  readonly bytes: number
}

const readBytes = 1 << 20

/**
 * Holds a lower against what it is made of, byte for byte: its bootstrap made anew, then the layers' data blobs, which must have been checked.
 * Without them the chunk index tells what its bytes must be; without that too only what the image says of itself can be checked: all of its
 * structure, no content of files. It blocks its thread.
 *
 * @param onBytes hears how many bytes more were read
 * @returns what is wrong, or undefined
 */
export function checkLowerFile(
  { path, profile, form, layers, chunks, uuid, scratch }: CheckLowerFile,
  onBytes: (bytes: number) => void,
): string | undefined {
  try {
    if (layers === undefined) return chunks === undefined ? checkStructure(path) : checkLeaves(path, chunks, onBytes)
    const bootstrap = writeBootstrap({ layers, uuid, profile, form, to: scratch })
    const follows = form === 'whole' ? bootstrap.blobs : []
    return compare(path, [{ path: scratch, bytes: bootstrap.bytes }, ...follows], onBytes)
  } catch (error) {
    return isProblem(error) ? error.message : problemFromSystem(error, 'read it').message
  }
}

function compare(path: string, parts: readonly Part[], onBytes: (bytes: number) => void): string | undefined {
  const fd = openSync(path, 'r')
  try {
    const expected = parts.reduce((sum, { bytes }) => sum + bytes, 0)
    const { size } = fstatSync(fd)
    if (size !== expected) return `it has ${size} bytes, not ${expected}`
    let start = 0
    for (const part of parts) {
      const at = firstDifference(fd, start, part, onBytes)
      if (at !== undefined) return `it is damaged in block ${Math.floor(at / blockSize)}`
      start += part.bytes
    }
    return undefined
  } finally {
    closeSync(fd)
  }
}

const ours = Buffer.allocUnsafe(readBytes)
const theirs = Buffer.allocUnsafe(readBytes)

/** Where the lower differs from a part of it, in bytes from the start of the lower. */
function firstDifference(
  fd: number,
  start: number,
  { path, bytes }: Part,
  onBytes: (bytes: number) => void,
): number | undefined {
  const part = openSync(path, 'r')
  try {
    for (let at = 0; at < bytes; at += readBytes) {
      const length = Math.min(readBytes, bytes - at)
      const a = readAt(fd, ours, start + at, length)
      const b = readAt(part, theirs, at, length)
      if (!a.equals(b)) return start + at + a.findIndex((byte, i) => byte !== b[i])
      onBytes(length)
    }
    return undefined
  } finally {
    closeSync(part)
  }
}

function readAt(fd: number, into: Buffer, position: number, length: number): Buffer {
  let filled = 0
  while (filled < length) {
    const count = readSync(fd, into, filled, length - filled, position + filled)
    if (count === 0) break
    filled += count
  }
  return into.subarray(0, filled)
}

function checkLeaves(path: string, chunks: string, onBytes: (bytes: number) => void): string | undefined {
  const { leaves } = decodeChunkIndex(readFileSync(chunks))
  const hasher = new LeafHasher()
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    for (let at = 0; at < size; at += readBytes) {
      const piece = readAt(fd, ours, at, Math.min(readBytes, size - at))
      hasher.update(piece)
      onBytes(piece.length)
    }
    return hasher.finish().equals(leaves) ? undefined : 'its content is not what was published'
  } finally {
    closeSync(fd)
  }
}

function checkStructure(path: string): string | undefined {
  const fd = openSync(path, 'r')
  try {
    const reader = ErofsReader.open(
      (offset, length) => readAt(fd, Buffer.alloc(length), offset, length),
      fstatSync(fd).size,
    )
    reader.verify()
    return undefined
  } finally {
    closeSync(fd)
  }
}
