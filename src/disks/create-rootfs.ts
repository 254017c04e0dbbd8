import { readSync } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { isProblem, problemFromSystem } from '../base/index.ts'
import { growExt4 } from '../formats/index.ts'
import { type Cloned, cloneFile, writeWhole } from '../host/index.ts'
import { upperBytes } from './upper-template.ts'

export interface CreateRootfs {
  /** An ext4 of formats/ext4, as it was written. */
  readonly image: string
  /** Apparent size; what is not a multiple of 4096 is rounded up to one. */
  readonly bytes: number
  /** Where it is to be; nothing must be there. */
  readonly to: string
}

/**
 * Makes a root filesystem of its own for a shed: a clone of the image, made larger by changing a few blocks of its head. It is not durable yet:
 * `to` belongs in staging, and what installs it syncs it.
 *
 * @throws Problem INVALID_REQUEST for an impossible size, one below what the image needs included; FILE_NOT_FOUND, FILE_EXISTS, NO_SPACE,
 *   EXT4_INVALID, IO_FAILED; there is nothing new at `to` then
 */
export async function createRootfs({ image, bytes, to }: CreateRootfs): Promise<Cloned> {
  const size = upperBytes(bytes)
  const cloned = await cloneFile(image, to)
  try {
    await using file = await openWritable(to)
    await grow(file, size)
    return { ...cloned, logicalBytes: size }
  } catch (error) {
    await rm(to, { force: true })
    throw isProblem(error) ? error : problemFromSystem(error, `make a root filesystem of ${image}`)
  }
}

/** A clone has the mode of the image, which nobody may write to. */
async function openWritable(path: string): Promise<FileHandle> {
  const readable = await open(path, 'r')
  try {
    await readable.chmod(0o600)
  } finally {
    await readable.close()
  }
  return await open(path, 'r+')
}

async function grow(file: FileHandle, bytes: number): Promise<void> {
  // In the open: a few blocks that were read or copied a moment ago.
  const read = (offset: number, length: number) => {
    const into = Buffer.alloc(length)
    readSync(file.fd, into, 0, length, offset)
    return into
  }
  const pieces = growExt4({ bytes, read })
  await file.truncate(bytes)
  for (const piece of pieces) await writeWhole(file, piece.bytes, piece.offset)
}
