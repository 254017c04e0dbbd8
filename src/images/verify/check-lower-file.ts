import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { type Digest, DigestHasher, isProblem, problemFromSystem } from '../../base/index.ts'
import { decodeChunkIndex, ErofsReader, LeafHasher } from '../../formats/index.ts'
import type { LowerKind } from '../lowers/lower-kind.ts'
import { type CachedLayer, writeBootstrap } from '../lowers/write-bootstrap.ts'
import { compareFile, readAt, readBytes } from './compare-file.ts'

export interface CheckLowerFile extends LowerKind {
  readonly path: string
  /** What the lower is made of; undefined when the cache does not have all of it. */
  readonly layers: readonly CachedLayer[] | undefined
  /** The chunk index that it was published with, if it was. */
  readonly chunks: string | undefined
  /** Of its bytes, if that is known. */
  readonly digest: Digest | undefined
  readonly uuid: Uint8Array
  /** A file that does not exist yet, for its bootstrap made anew. */
  readonly scratch: string
}

const piece = Buffer.allocUnsafe(readBytes)

/**
 * Holds a lower against what it is made of, byte for byte: its bootstrap made anew, then the layers' data blobs, which must have been checked.
 * Without them the chunk index or a digest tells what its bytes must be; without these too only what the image says of itself can be checked: all of its
 * structure, no content of files. It blocks its thread.
 *
 * @param onBytes hears how many bytes more were read
 * @returns what is wrong, or undefined
 */
export function checkLowerFile(
  { path, profile, form, layers, chunks, digest, uuid, scratch }: CheckLowerFile,
  onBytes: (bytes: number) => void,
): string | undefined {
  try {
    if (layers === undefined && chunks !== undefined) return checkLeaves(path, chunks, onBytes)
    if (layers === undefined && digest !== undefined) return checkDigest(path, digest, onBytes)
    if (layers === undefined) return checkStructure(path)
    const bootstrap = writeBootstrap({ layers, uuid, profile, form, to: scratch })
    const parts = [{ path: scratch, bytes: bootstrap.bytes }, ...(form === 'whole' ? bootstrap.blobs : [])]
    return compareFile(
      path,
      parts.map((part) => ({ path: part.path, offset: 0, length: part.bytes })),
      onBytes,
    )
  } catch (error) {
    return isProblem(error) ? error.message : problemFromSystem(error, 'read it').message
  }
}

function checkLeaves(path: string, chunks: string, onBytes: (bytes: number) => void): string | undefined {
  const { leaves } = decodeChunkIndex(readFileSync(chunks))
  const hasher = new LeafHasher()
  readThrough(path, hasher, onBytes)
  return hasher.finish().equals(leaves) ? undefined : 'its content is not what was published'
}

function checkDigest(path: string, digest: Digest, onBytes: (bytes: number) => void): string | undefined {
  const hasher = new DigestHasher()
  readThrough(path, hasher, onBytes)
  return hasher.digest() === digest ? undefined : 'its content is not what its layers gave'
}

function readThrough(path: string, into: { update(piece: Buffer): unknown }, onBytes: (bytes: number) => void): void {
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    for (let at = 0; at < size; at += readBytes) {
      const read = readAt(fd, piece, at, Math.min(readBytes, size - at))
      into.update(read)
      onBytes(read.length)
    }
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
