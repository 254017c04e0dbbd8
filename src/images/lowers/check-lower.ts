import { open } from 'node:fs/promises'
import { errnoCode, isProblem, problemFromSystem } from '../../base/index.ts'
import { blockSize, ErofsReader } from '../../formats/index.ts'

/**
 * Looks at the first block of a lower, whose checksum covers it: whether the file is an image, complete, and the one that is wanted. Cheap enough for
 * every start of a shed.
 *
 * @param uuid what lowerUuid gives for it
 * @returns what is wrong with it; undefined when nothing is
 * @throws Problem IO_FAILED, PERMISSION_DENIED
 */
export async function complaintAboutLower(path: string, uuid: Buffer): Promise<string | undefined> {
  const file = await readHead(path)
  if (file === undefined) return 'it is not there'
  const { head, size } = file
  try {
    const reader = ErofsReader.open((offset, length) => head.subarray(offset, offset + length), size)
    reader.verifyFirstBlock()
    const { superblock } = reader
    if (!superblock.uuid.equals(uuid)) return 'it is the lower of something else'
    const expected = superblock.blocks * blockSize
    return size === expected ? undefined : `it has ${size} bytes, not ${expected}`
  } catch (error) {
    if (isProblem(error, 'EROFS_INVALID')) return error.message
    throw error
  }
}

async function readHead(path: string): Promise<{ head: Buffer; size: number } | undefined> {
  try {
    await using file = await open(path, 'r')
    const head = Buffer.alloc(blockSize)
    await file.read(head, 0, blockSize, 0)
    return { head, size: (await file.stat()).size }
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw problemFromSystem(error, `look at the lower ${path}`)
  }
}
