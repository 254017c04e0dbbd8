import { chmod, mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { onEachFilesystem } from '../../test/support/filesystems.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { cloneFile } from './index.ts'

onEachFilesystem(['btrfs', 'xfs', 'ext4'], (fs) => {
  test('a clone stays sparse and apart from its source', async () => {
    const src = await fs.sparseFile({ size: '1GiB', dataAt: ['0', '512MiB'] })
    await chmod(src.path, 0o640)
    const { strategy, logicalBytes } = await cloneFile(src.path, fs.path('clone'))

    expect(strategy).toBe(fs.reflinks ? 'ficlone' : 'copy_file_range')
    expect(logicalBytes).toBe(2 ** 30)
    expect(await fs.allocated('clone')).toBe(src.allocated)
    await src.overwrite('512MiB')
    expect(await fs.read('clone', '512MiB')).toEqual(src.original('512MiB'))
    expect(await fs.read('clone', '0')).toEqual(src.original('0'))
    expect((await stat(fs.path('clone'))).mode & 0o777).toBe(0o640)
  })

  test('a clone that runs out of space leaves nothing', async () => {
    const src = await fs.file({ size: '40MiB' })
    await fs.fill({ leave: '10MiB' })
    const attempt = cloneFile(src.path, fs.path('clone'))

    if (fs.reflinks) await expect(attempt).resolves.toMatchObject({ strategy: 'ficlone' })
    else await expect(attempt).rejects.toMatchObject({ code: 'NO_SPACE' })
    expect(await fs.exists('clone')).toBe(fs.reflinks)

    await using dir = await temporaryDirectory()
    await writeFile(join(dir.path, 'far'), Buffer.alloc(20 << 20, 'far'))
    const copy = cloneFile(join(dir.path, 'far'), fs.path('near'))
    await expect(copy).rejects.toMatchObject({ code: 'NO_SPACE' })
    expect(await fs.exists('near')).toBe(false)
  })

  test('what is there already stays as it is', async () => {
    const src = await fs.file({ size: '1MiB' })
    await writeFile(fs.path('taken'), 'mine')
    await expect(cloneFile(src.path, fs.path('taken'))).rejects.toMatchObject({ code: 'FILE_EXISTS' })
    expect(await readFile(fs.path('taken'), 'utf8')).toBe('mine')
  })

  test('files of every shape come out as they were', async () => {
    const shapes = { empty: 0, hole: 5 << 20, byte: 1, odd: 4097 }
    for (const [name, size] of Object.entries(shapes)) {
      await writeFile(fs.path(name), name === 'hole' ? '' : Buffer.alloc(size, name))
      await truncate(fs.path(name), size)
      await cloneFile(fs.path(name), fs.path(`${name}-clone`))
      expect((await readFile(fs.path(`${name}-clone`))).equals(await readFile(fs.path(name))), name).toBe(true)
      if (name === 'hole') expect(await fs.allocated('hole-clone')).toBe(0)
    }
  })

  test('a file from another filesystem is copied, with its holes', async () => {
    await using dir = await temporaryDirectory()
    const path = join(dir.path, 'far')
    await writeFile(path, Buffer.alloc(3 << 20, 'far'))
    await truncate(path, 100 << 20)
    const { strategy } = await cloneFile(path, fs.path('near'))
    expect(strategy).not.toBe('ficlone')
    expect((await readFile(fs.path('near'))).equals(await readFile(path))).toBe(true)
    // xfs keeps some more in reserve behind what was written last.
    expect(await fs.allocated('near')).toBeLessThan(8 << 20)
  })
})

test('what cannot be cloned is a problem, and nothing is left', async () => {
  await using dir = await temporaryDirectory()
  const to = join(dir.path, 'clone')
  await expect(cloneFile(join(dir.path, 'absent'), to)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  await mkdir(join(dir.path, 'directory'))
  await expect(cloneFile(join(dir.path, 'directory'), to)).rejects.toMatchObject({ code: 'IO_FAILED' })
  expect(await readdir(dir.path)).toEqual(['directory'])
})
