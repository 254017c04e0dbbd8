import type { FileHandle } from 'node:fs/promises'

/** Writes all of some bytes at a place of a file: one write(2) may take fewer, when the disk is nearly full. @throws what the system says */
export async function writeWhole(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten
  }
}
