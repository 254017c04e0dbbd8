import { isProblem, type LowerProfile } from '../../base/index.ts'
import { blockSize, type DeviceSlot, readImageHead, type Superblock } from '../../formats/index.ts'
import { type FileHead, readFileHead } from '../../host/index.ts'
import type { LowerKind } from './lower-kind.ts'

/**
 * Looks at the first block of a lower, whose checksum covers it: whether the file is an image, complete, and the one that is wanted. Cheap enough for
 * every start of a shed. Whether the devices of a lower in parts are there, lowerParts looks.
 *
 * @param uuid what lowerUuid gives for it; not looked at when it is left out
 * @returns its size in bytes, and what it is, or what is wrong with it
 * @throws Problem IO_FAILED, PERMISSION_DENIED
 */
export function checkLower(path: string, uuid?: Buffer): CheckedLower {
  const file = readFileHead(path, blockSize)
  return file === undefined ? { complaint: 'it is not there' } : checkLowerHead(file, uuid)
}

/** The same of the first 4096 bytes of a lower that is not here, and of its size. */
export function checkLowerHead(file: FileHead, uuid?: Buffer): CheckedLower {
  try {
    return examine(file, uuid)
  } catch (error) {
    if (isProblem(error, 'EROFS_INVALID')) return { complaint: error.message }
    throw error
  }
}

export type CheckedLower =
  | { readonly complaint: string }
  | {
      readonly complaint?: undefined
      readonly bytes: number
      readonly kind: LowerKind
      readonly devices: readonly DeviceSlot[]
    }

function examine({ head, size }: FileHead, uuid: Buffer | undefined): CheckedLower {
  const { superblock, devices } = readImageHead(head)
  if (uuid !== undefined && !superblock.uuid.equals(uuid)) return { complaint: 'it is the lower of something else' }
  const expected = superblock.blocks * blockSize
  if (size !== expected) return { complaint: `it has ${size} bytes, not ${expected}` }
  const form = superblock.isSplit ? 'parts' : 'whole'
  return { bytes: size, kind: { profile: profileOf(superblock), form }, devices }
}

function profileOf({ largestCluster }: Superblock): LowerProfile {
  if (largestCluster === 0) return 'plain'
  return largestCluster === 1 ? 'lz4' : 'lz4-64k'
}
