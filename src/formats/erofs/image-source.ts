import { type DeviceSlot, decodeDevice } from './encode-head.ts'
import { deviceSlotBytes, superblockBytes, superblockOffset } from './image-kind.ts'
import { invalidImage } from './invalid.ts'
import { checksumEnd, checksumOf, decodeSuperblock, type Superblock } from './superblock.ts'

/** Reads bytes of an image file. Called only with ranges inside the size that was given for it. */
export type ReadAt = (offset: number, length: number) => Buffer

/** An image whose superblock is understood, read with every range checked. */
export interface ImageSource {
  readonly superblock: Superblock
  /** Bytes that belong to the image: its blocks, as the superblock counts them, and those of its devices. */
  readonly bytes: number
  /** @throws Problem EROFS_INVALID when the range is not inside the image; `what` says in the message what was looked for. */
  readonly read: (offset: number, length: number, what: string) => Buffer
}

/** @throws Problem EROFS_INVALID when it is no image, or shorter than it says */
export function openSource(readAt: ReadAt, size: number): ImageSource {
  if (size < superblockOffset + superblockBytes) throw invalidImage(`${size} bytes are too few to hold a superblock`)
  const superblock = decodeSuperblock(readExactly(readAt, superblockOffset, superblockBytes))
  const devices = readDevices(readAt, size, superblock)
  const blocks = devices.reduce((most, device) => Math.max(most, device.firstBlock + device.blocks), superblock.blocks)
  const bytes = blocks * superblock.blockSize
  if (bytes > size) throw invalidImage(`it has ${size} of its ${bytes} bytes`)
  return {
    superblock,
    bytes,
    read(offset, length, what) {
      checkRange(offset, length, bytes, what)
      return readExactly(readAt, offset, length)
    },
  }
}

/** @throws Problem EROFS_INVALID when these bytes are not all inside an image of so many bytes */
export function checkRange(offset: number, length: number, bytes: number, what: string): void {
  if (offset + length > bytes) throw invalidImage(`${what} is at byte ${offset}, outside the image`)
}

/** @throws Problem EROFS_INVALID when the image has a checksum and block 0 does not match it */
export function verifyChecksum({ read, superblock }: ImageSource): void {
  if (superblock.checksum === undefined) return
  const found = checksumOf(read(0, checksumEnd(superblock.blockSize), 'block 0'))
  if (found !== superblock.checksum) {
    throw invalidImage(`the checksum of block 0 is ${hex(superblock.checksum)} but its bytes give ${hex(found)}`)
  }
}

/**
 * The devices of an image besides its first one.
 *
 * @param size bytes that can be read: the table must be among them
 * @throws Problem EROFS_INVALID
 */
export function readDevices(readAt: ReadAt, size: number, { devices }: Superblock): DeviceSlot[] {
  const { count, tableAt } = devices
  if (count === 0) return []
  checkRange(tableAt, count * deviceSlotBytes, size, 'the table of devices')
  const table = readExactly(readAt, tableAt, count * deviceSlotBytes)
  return Array.from({ length: count }, (_, i) => decodeDevice(table.subarray(i * deviceSlotBytes)))
}

function readExactly(readAt: ReadAt, offset: number, length: number): Buffer {
  const bytes = readAt(offset, length)
  if (bytes.length !== length) throw invalidImage(`reading ${length} bytes at ${offset} gave ${bytes.length}`)
  return bytes
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}
