import { stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { onEachFilesystem } from '../../../test/support/filesystems.ts'
import { cloneFile } from '../clone-file.ts'
import { unsharedBytes } from './unshared-bytes.ts'

onEachFilesystem(['xfs', 'ext4'], (fs) => {
  test('all of a file that nobody shares anything with, and of a clone what was written since', async () => {
    const { path } = await fs.sparseFile({ size: '64MiB', dataAt: ['0', '32MiB'] })
    expect(unsharedBytes(path)).toBe((await stat(path)).blocks * 512)
    const clone = fs.path('clone')
    await cloneFile(path, clone)
    const all = (await stat(path)).blocks * 512
    // What a file takes beside its data, to list its extents, is its own.
    if (fs.reflinks) expect(unsharedBytes(path)).toBeLessThan(64 << 10)
    else expect([unsharedBytes(path), unsharedBytes(clone)]).toEqual([all, all])
  })

  test('is not known of a file that is not there', () => {
    expect(() => unsharedBytes(fs.path('none'))).toThrow(expect.objectContaining({ code: 'FILE_NOT_FOUND' }))
  })
})
