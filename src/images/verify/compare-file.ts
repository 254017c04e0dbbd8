import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { blockSize } from '../../formats/index.ts'
import type { FilePart } from '../../host/index.ts'

/** Bytes of one read. */
export const readBytes = 1 << 20

/**
 * Holds a file against the parts that it must be, one after the other. It blocks its thread.
 *
 * @param onBytes hears how many bytes more were read
 * @returns what is wrong, or undefined
 * @throws what the system says
 */
export function compareFile(
  path: string,
  parts: readonly FilePart[],
  onBytes: (bytes: number) => void,
): string | undefined {
  const fd = openSync(path, 'r')
  try {
    const expected = parts.reduce((sum, { length }) => sum + length, 0)
    const { size } = fstatSync(fd)
    if (size !== expected) return `it has ${size} bytes, not ${expected}`
    let start = 0
    for (const part of parts) {
      const at = firstDifference(fd, start, part, onBytes)
      if (at !== undefined) return `it is damaged in block ${Math.floor(at / blockSize)}`
      start += part.length
    }
    return undefined
  } finally {
    closeSync(fd)
  }
}

const ours = Buffer.allocUnsafe(readBytes)
const theirs = Buffer.allocUnsafe(readBytes)

/** Where the file differs from a part of it, in bytes from the start of the file. */
function firstDifference(
  fd: number,
  start: number,
  { path, offset, length }: FilePart,
  onBytes: (bytes: number) => void,
): number | undefined {
  const part = openSync(path, 'r')
  try {
    for (let at = 0; at < length; at += readBytes) {
      const count = Math.min(readBytes, length - at)
      const a = readAt(fd, ours, start + at, count)
      const b = readAt(part, theirs, offset + at, count)
      if (!a.equals(b)) return start + at + a.findIndex((byte, i) => byte !== b[i])
      onBytes(count)
    }
    return undefined
  } finally {
    closeSync(part)
  }
}

/** As much as there is. */
export function readAt(fd: number, into: Buffer, position: number, length: number): Buffer {
  let filled = 0
  while (filled < length) {
    const count = readSync(fd, into, filled, length - filled, position + filled)
    if (count === 0) break
    filled += count
  }
  return into.subarray(0, filled)
}
