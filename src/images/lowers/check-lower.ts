import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { errnoCode, isProblem, problemFromSystem } from '../../base/index.ts'
import { blockSize, ErofsReader } from '../../formats/index.ts'

/**
 * Looks at the first block of a lower, whose checksum covers it: whether the file is an image, complete, and the one that is wanted. Cheap enough for
 * every start of a shed.
 *
 * @param uuid what lowerUuid gives for it; not looked at when it is left out
 * @returns its size in bytes, or what is wrong with it
 * @throws Problem IO_FAILED, PERMISSION_DENIED
 */
export function checkLower(path: string, uuid?: Buffer): CheckedLower {
  const file = readHead(path)
  if (file === undefined) return { complaint: 'it is not there' }
  const complaint = complaintAbout(file, uuid)
  return complaint === undefined ? { bytes: file.size } : { complaint }
}

export type CheckedLower = { readonly complaint: string } | { readonly complaint?: undefined; readonly bytes: number }

interface Head {
  readonly head: Buffer
  readonly size: number
}

function complaintAbout({ head, size }: Head, uuid: Buffer | undefined): string | undefined {
  try {
    const reader = ErofsReader.open((offset, length) => head.subarray(offset, offset + length), size)
    reader.verifyFirstBlock()
    const { superblock } = reader
    if (uuid !== undefined && !superblock.uuid.equals(uuid)) return 'it is the lower of something else'
    const expected = superblock.blocks * blockSize
    return size === expected ? undefined : `it has ${size} bytes, not ${expected}`
  } catch (error) {
    if (isProblem(error, 'EROFS_INVALID')) return error.message
    throw error
  }
}

/** In the open: one block, which every start of a shed reads, is in the page cache. */
function readHead(path: string): Head | undefined {
  try {
    const fd = openSync(path, 'r')
    try {
      const head = Buffer.alloc(blockSize)
      readSync(fd, head, 0, blockSize, 0)
      return { head, size: fstatSync(fd).size }
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw problemFromSystem(error, `look at the lower ${path}`)
  }
}
