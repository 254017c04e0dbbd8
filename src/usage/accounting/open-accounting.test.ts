import { lstatSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { mountFresh } from '../../../test/support/mount-filesystem.ts'
import { needs } from '../../../test/support/needs.ts'
import { noise } from '../../../test/support/noise.ts'
import { reflink } from '../../../test/support/reflink.ts'
import { settleFilesystem } from '../../host/index.ts'
import type { MeasureRequest } from './measured-file.ts'
import { openAccounting } from './open-accounting.ts'
import { exactly } from './space.ts'

const bytes = 1 << 20

describe.runIf(needs({ root: true, tools: ['mkfs.btrfs'] }))('the thread that measures', () => {
  test('a measurement is handed out again while it is true, and what others do since is seen by who has prepared too', async () => {
    await using mounted = await mountFresh('btrfs', 200 << 20)
    const path = join(mounted.directory, 'file')
    writeFileSync(path, noise(bytes, 'file'))
    settleFilesystem(mounted.directory)
    // Only what has been left alone for a while is remembered.
    await new Promise((resolve) => setTimeout(resolve, 150))
    const request = requestOf(path)
    const accounting = openAccounting()
    try {
      const first = await accounting.measure(request, accounting.prepare())
      expect(first.files).toEqual([exactly(bytes)])
      expect(await accounting.measure(request, accounting.prepare())).toBe(first)
      expect(await accounting.measure(request)).toBe(first)
      reflink(path, join(mounted.directory, 'clone'))
      settleFilesystem(mounted.directory)
      const shared = await accounting.measure(request, accounting.prepare())
      expect(shared.files).toEqual([exactly(0)])
      expect(await accounting.measure(request, accounting.prepare())).toBe(shared)
      // All of it anew: what only it had is another's no more.
      writeFileSync(path, noise(2 * bytes, 'more'))
      settleFilesystem(mounted.directory)
      const renewed = { ...request, files: requestOf(path).files }
      const more = await accounting.measure(renewed, accounting.prepare())
      expect(more.files).toEqual([exactly(2 * bytes)])
      expect(await accounting.measure(renewed, accounting.prepare())).toEqual(more)
    } finally {
      await accounting.close()
    }
    await expect(accounting.measure(request, accounting.prepare())).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})

function requestOf(path: string): MeasureRequest {
  const { dev, ino, size, blocks, ctimeMs } = lstatSync(path)
  const file = {
    path,
    device: dev,
    inode: ino,
    logicalBytes: size,
    allocatedBytes: blocks * 512,
    changedAt: ctimeMs,
    namedElsewhere: false,
  }
  return { files: [file], fresh: false, ownerships: [{ owners: 1, ofFile: [[0]] }] }
}
