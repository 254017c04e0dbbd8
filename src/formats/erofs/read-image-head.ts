import type { DeviceSlot } from './encode-head.ts'
import { superblockBytes, superblockOffset } from './image-kind.ts'
import { readDevices } from './image-source.ts'
import { invalidImage } from './invalid.ts'
import { checksumOf, decodeSuperblock, type Superblock } from './superblock.ts'
import { blockSize } from './tree.ts'

export interface ImageHead {
  readonly superblock: Superblock
  /** In the order in which mount(8) wants them. */
  readonly devices: readonly DeviceSlot[]
}

/**
 * What the first block of an image says, after its checksum was compared: enough to know which image it is, how large, and what belongs to it.
 *
 * @param head the first 4096 bytes, which must hold the whole table of devices
 * @throws Problem EROFS_INVALID, also for an image without a checksum or with other blocks: cowshed writes none
 */
export function readImageHead(head: Buffer): ImageHead {
  const superblock = decodeSuperblock(head.subarray(superblockOffset, superblockOffset + superblockBytes))
  if (superblock.blockSize !== blockSize) throw invalidImage(`its blocks have ${superblock.blockSize} bytes`)
  if (head.length !== blockSize || superblock.checksum !== checksumOf(head))
    throw invalidImage('the checksum of its first block is wrong')
  const devices = readDevices((offset, length) => head.subarray(offset, offset + length), head.length, superblock)
  return { superblock, devices }
}
