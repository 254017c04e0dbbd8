import { expect, test } from 'vitest'
import { checksumEnd, checksumOf, decodeSuperblock, encodeSuperblock, sealFirstBlock } from './superblock.ts'

const fields = { rootNid: 36, inodes: 5, epochSeconds: -7, epochNanoseconds: 8, blocks: 9, uuid: Buffer.alloc(16, 1) }

test('a superblock reads back', () => {
  const block = Buffer.alloc(4096)
  encodeSuperblock({ ...fields, kind: {} }).copy(block, 1024)
  sealFirstBlock(block)
  expect(decodeSuperblock(block.subarray(1024, 1152))).toEqual({
    ...fields,
    blockSize: 4096,
    metaBlock: 0,
    xattrBlock: 0,
    checksum: checksumOf(block),
    features: { compat: 3, incompat: 0 },
    largestCluster: 0,
    isSplit: false,
    devices: { count: 0, tableAt: 0 },
  })
})

test('the checksum covers block 0 behind the boot area, or one small block from the superblock on', () => {
  expect([512, 1024, 2048, 4096, 65536].map(checksumEnd)).toEqual([1536, 2048, 2048, 4096, 65536])
})
