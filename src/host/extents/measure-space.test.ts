import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { toolsFor, withSmallFilesystem } from '../../../test/support/filesystems.ts'
import { needs } from '../../../test/support/needs.ts'
import { noise } from '../../../test/support/noise.ts'
import { measureSpace, settleFilesystem } from './measure-space.ts'

test.runIf(needs({ root: true, tools: toolsFor('btrfs') }))(
  'what a btrfs says that it uses is the data of files and its metadata, to the byte',
  async () => {
    await withSmallFilesystem('btrfs', 256 * 2 ** 20, async (directory) => {
      for (let at = 0; at < 200; at++) writeFileSync(join(directory, `${at}`), noise(at * 500, at))
      settleFilesystem(directory)
      const { usedBytes, dataBytes = 0, metadataBytes = 0 } = measureSpace(directory)
      expect(dataBytes).toBeGreaterThan(9e6)
      expect(dataBytes + metadataBytes).toBe(usedBytes)
    })
  },
)
