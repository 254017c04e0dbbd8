import { deviceSlotBytes, deviceTagBytes, headOf, superblockBytes, superblockOffset } from './image-kind.ts'
import { encodeSuperblock } from './superblock.ts'

/** A device of the image: what it is called, and which blocks of the whole image are its own. */
export interface DeviceSlot {
  readonly tag: string
  readonly blocks: number
  /** Where its blocks are counted from when no device is named; the first block of a blob in the whole image. */
  readonly firstBlock: number
}

/**
 * What an image begins with, from the superblock on: the superblock, the parameters of LZ4 where clusters are big, the table of devices.
 *
 * @see struct erofs_super_block, z_erofs_lz4_cfgs and erofs_deviceslot in fs/erofs/erofs_fs.h
 */
export function encodeHead(
  image: Parameters<typeof encodeSuperblock>[0] & { readonly devices: readonly DeviceSlot[] },
): Buffer {
  const { devicesAt, end } = headOf(image.kind)
  const head = Buffer.alloc(end - superblockOffset)
  encodeSuperblock(image).copy(head)
  const { clusterBlocks } = image.kind
  if (clusterBlocks === 16) encodeLz4Configuration(head, superblockBytes, clusterBlocks)
  for (const [number, device] of image.devices.entries()) {
    encodeDevice(head, devicesAt - superblockOffset + number * deviceSlotBytes, device)
  }
  return head
}

function encodeLz4Configuration(out: Buffer, at: number, clusterBlocks: number): void {
  out.writeUInt16LE(14, at)
  out.writeUInt16LE(65535, at + 2)
  out.writeUInt16LE(clusterBlocks, at + 4)
}

function encodeDevice(out: Buffer, at: number, { tag, blocks, firstBlock }: DeviceSlot): void {
  out.write(tag, at, deviceTagBytes, 'latin1')
  out.writeUInt32LE(blocks, at + 64)
  out.writeUInt32LE(firstBlock, at + 68)
}

/** A slot of the table of devices. @param slot 128 bytes */
export function decodeDevice(slot: Buffer): DeviceSlot {
  const [tag = ''] = slot.toString('latin1', 0, deviceTagBytes).split('\0')
  return { tag, blocks: slot.readUInt32LE(64), firstBlock: slot.readUInt32LE(68) }
}
