import type { FileHandle } from 'node:fs/promises'
import { writeWhole } from './write-whole.ts'

const blockBytes = 4096
const zeros = Buffer.alloc(blockBytes)

/** Writes bytes at a place of a fresh file that has its size already, and leaves out whole blocks of zeros. @throws what the system says */
export async function writeSparse(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  let start = 0
  // The blocks of the file, wherever in them the bytes begin.
  for (let at = -offset % blockBytes; at < bytes.length; at += blockBytes) {
    const block = at < 0 ? undefined : bytes.subarray(at, at + blockBytes)
    if (block === undefined || !zeros.subarray(0, block.length).equals(block)) continue
    if (at > start) await writeWhole(file, bytes.subarray(start, at), offset + start)
    start = at + block.length
  }
  if (start < bytes.length) await writeWhole(file, bytes.subarray(start), offset + start)
}
