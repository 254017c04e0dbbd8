import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { onEachFilesystem, withSmallFilesystem } from '../../test/support/filesystems.ts'
import { needs } from '../../test/support/needs.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { allocation, filesystemOf, runTool, sweepProbes } from './index.ts'

onEachFilesystem(['btrfs', 'xfs', 'ext4'], (fs) => {
  test('type, sizes and whether extents can be shared', async () => {
    const found = await filesystemOf(fs.directory)
    expect(found).toMatchObject({ type: fs.name, reflink: fs.reflinks })
    expect(found.totalBytes).toBeGreaterThan(200 << 20)
    expect(found.totalBytes).toBeLessThanOrEqual(400 << 20)
    expect(found.freeBytes).toBeLessThanOrEqual(found.totalBytes)
    const file = await fs.file({ size: '8MiB' })
    // btrfs counts what has been written back.
    await runTool('sync', ['-f', file.path])
    const after = await filesystemOf(file.path)
    expect(after.freeBytes).toBeLessThan(found.freeBytes)
    expect((await readdir(fs.directory)).filter((name) => name.startsWith('.cowshed'))).toEqual([])
    expect(await allocation(file.path)).toMatchObject({ logicalBytes: 8 << 20 })
  })

  test('a full one can still be looked at', async () => {
    await fs.fill({ leave: '0' })
    expect(await filesystemOf(fs.directory)).toMatchObject({ type: fs.name, reflink: fs.reflinks })
  })
})

test.runIf(needs({ root: true, tools: ['mkfs.xfs', 'mount'] }))(
  'an xfs without reflink is told from one with',
  async () => {
    await withSmallFilesystem('xfs', 320 << 20, async (directory) => {
      expect(await filesystemOf(directory)).toMatchObject({ type: 'xfs', reflink: true })
      const disk = join(directory, 'disk')
      const inner = join(directory, 'inner')
      await runTool('sh', [
        '-ec',
        `truncate -s 300M ${disk}; mkdir ${inner}; mkfs.xfs -q -m reflink=0 ${disk}; mount -o loop ${disk} ${inner}`,
      ])
      try {
        expect(await filesystemOf(inner)).toMatchObject({ type: 'xfs', reflink: false })
      } finally {
        await runTool('umount', [inner])
      }
    })
  },
)

test('what is not there is a problem', async () => {
  await expect(filesystemOf('/nowhere/at/all')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  await expect(allocation('/nowhere/at/all')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  expect(await filesystemOf('/proc')).toMatchObject({ type: 'other', reflink: false })
})

test('what somebody left who was killed while he looked is swept, and nothing else', async () => {
  await using dir = await temporaryDirectory()
  await mkdir(join(dir.path, '.cowshed-probe-abc123'))
  await writeFile(join(dir.path, '.cowshed-probe-abc123', 'a'), '')
  await mkdir(join(dir.path, 'sheds'))
  await sweepProbes(dir.path)
  expect(await readdir(dir.path)).toEqual(['sheds'])
})
