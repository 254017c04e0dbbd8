import { constants, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type Koffi from 'koffi'
import { errnoCode } from '../base/index.ts'

/** What the memory, the offsets and the lengths of direct reads and writes must be multiples of: the largest logical block in use. */
export const directAlignment = 4096

/**
 * Opens a file for reads or writes that go around the page cache; undefined where the filesystem has no such thing. Megabytes that
 * nobody will look at again soon then cost next to no processor time and push nothing else out of memory, and btrfs makes extents
 * no larger than one write.
 *
 * @param flags of open(2) besides O_DIRECT
 * @see open(2), O_DIRECT
 */
export async function openDirect(path: string, flags: number) {
  try {
    return await open(path, flags | constants.O_DIRECT)
  } catch (error) {
    if (errnoCode(error) === 'EINVAL') return undefined
    throw error
  }
}

/** The same as a bare descriptor, for a thread that may block. */
export function openDirectSync(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags | constants.O_DIRECT)
  } catch (error) {
    if (errnoCode(error) === 'EINVAL') return undefined
    throw error
  }
}

/** A buffer, not cleared, that direct reads and writes may use. */
export function alignedBuffer(bytes: number): Buffer {
  const room = Buffer.allocUnsafeSlow(bytes + directAlignment)
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi
  const excess = Number(koffi.address(room) % BigInt(directAlignment))
  const start = (directAlignment - excess) % directAlignment
  return room.subarray(start, start + bytes)
}
