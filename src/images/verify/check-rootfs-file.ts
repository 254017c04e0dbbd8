import { isProblem, problemFromSystem } from '../../base/index.ts'
import type { FilePart } from '../../host/index.ts'
import { type WriteRootfs, type WrittenRootfs, writeRootfs } from '../rootfs/write-rootfs.ts'
import { compareFile } from './compare-file.ts'

export interface CheckRootfsFile extends WriteRootfs {
  readonly path: string
  /** A file that does not exist yet, for all of it but the content of larger files, made anew. */
  readonly to: string
}

/**
 * Holds a root filesystem against what it is made of, byte for byte: its metadata and small files made anew, the rest from the layers' data blobs, which
 * must have been checked. It blocks its thread: run it in a worker.
 *
 * @param onBytes hears how many bytes more were read
 * @returns what is wrong, or undefined
 */
export function checkRootfsFile(
  { path, ...written }: CheckRootfsFile,
  onBytes: (bytes: number) => void,
): string | undefined {
  try {
    return compareFile(path, inOrder(writeRootfs(written), written.to), onBytes)
  } catch (error) {
    return isProblem(error) ? error.message : problemFromSystem(error, 'read it').message
  }
}

/** What lies between the parts is what was written. */
function inOrder({ bytes, parts }: WrittenRootfs, written: string): FilePart[] {
  const all: FilePart[] = []
  let end = 0
  for (const { at, ...part } of [...parts].sort((a, b) => a.at - b.at)) {
    all.push({ path: written, offset: end, length: at - end }, part)
    end = at + part.length
  }
  return [...all, { path: written, offset: end, length: bytes - end }]
}
