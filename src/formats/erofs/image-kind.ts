import { alignUp } from './integers.ts'

/** Bytes before the superblock are free for boot code; cowshed leaves them zero. */
export const superblockOffset = 1024
export const superblockBytes = 128

/** What an image is, besides its tree: decides the features of its superblock and what follows it. */
export interface ImageKind {
  /** Blocks of the largest cluster of a compressed file; undefined when nothing is compressed. */
  readonly clusterBlocks?: 1 | 16
  /** How many devices hold the data; undefined when it follows the bootstrap. */
  readonly devices?: number
}

/** A device of the table, as it is on disk. */
export const deviceSlotBytes = 128
export const deviceTagBytes = 64
/** Length, then what struct z_erofs_lz4_cfgs has. */
export const lz4ConfigurationBytes = 16

/** Where the parts of an image's head are, in bytes from its start. */
export function headOf({ clusterBlocks, devices }: ImageKind): { readonly devicesAt: number; readonly end: number } {
  const behindSuperblock = superblockOffset + superblockBytes + (clusterBlocks === 16 ? lz4ConfigurationBytes : 0)
  const devicesAt = alignUp(behindSuperblock, deviceSlotBytes)
  return { devicesAt, end: devices === undefined ? behindSuperblock : devicesAt + devices * deviceSlotBytes }
}
