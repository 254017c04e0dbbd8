import { readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { isProblem, Problem, problemFromSystem } from '../base/index.ts'
import { growGuestExt4 } from '../formats/index.ts'
import { writeWhole } from '../host/index.ts'

export interface GrowDisk {
  /** An upper or a root filesystem that no VM has open. Cut off half way it is none any more: it belongs in staging. */
  readonly path: string
  /** Apparent size; a multiple of 4096, and no less than it has. */
  readonly bytes: number
}

/**
 * Makes a disk larger, and the filesystem that a guest has written there with it. It is not mounted: its superblock, its group descriptors and one block bitmap are read, each held
 * against its checksum. It is not durable yet.
 *
 * @throws Problem EXT4_INVALID when anything about the filesystem is not in order, INVALID_REQUEST, FILE_NOT_FOUND, NO_SPACE, IO_FAILED
 */
export async function growDisk({ path, bytes }: GrowDisk): Promise<void> {
  try {
    await using file = await open(path, 'r+')
    await grow(file, bytes)
  } catch (error) {
    if (isProblem(error, 'EXT4_INVALID')) throw notInOrder(path, error)
    throw problemFromSystem(error, `make ${path} larger`)
  }
}

async function grow(file: FileHandle, bytes: number): Promise<void> {
  const { size } = await file.stat()
  const read = (offset: number, length: number) => {
    const into = Buffer.alloc(length)
    return into.subarray(0, readSync(file.fd, into, 0, length, offset))
  }
  const pieces = growGuestExt4({ from: size, to: bytes, read })
  await file.truncate(bytes)
  for (const piece of pieces) await writeWhole(file, piece.bytes, piece.offset)
}

function notInOrder(path: string, cause: Problem): Problem {
  return new Problem('EXT4_INVALID', `cannot make the filesystem on ${path} larger: ${cause.message}`, {
    hint: 'start the shed and stop it, which puts its filesystem in order; then try again',
    cause,
  })
}
