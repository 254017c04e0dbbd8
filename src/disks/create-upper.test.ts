import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { onEachFilesystem, withSmallFilesystem } from '../../test/support/filesystems.ts'
import { isOnPath, needs } from '../../test/support/needs.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { dataLayout, digestOf } from '../base/index.ts'
import { allocation, runTool } from '../host/index.ts'
import { createUpper, ensureUpperTemplate, smallestUpper, upperBytes } from './index.ts'

const gib = 2 ** 30
const e2fsprogs = needs({ tools: ['mke2fs', 'e2fsck', 'dumpe2fs'] })
const canMount = needs({ root: true, tools: ['mke2fs', 'e2fsck', 'mount', 'umount'] })

if (canMount) {
  onEachFilesystem(['btrfs', 'xfs', 'ext4'], (fs) => {
    test('an upper costs its few blocks, and next to nothing where files share extents', async () => {
      const layout = dataLayout(fs.path('data'))
      const template = await ensureUpperTemplate(layout, 5 * gib)
      expect((await allocation(template)).logicalBytes).toBe(5 * gib)
      expect((await allocation(template)).physicalBytes).toBeLessThanOrEqual(256 * 1024)

      const { strategy, logicalBytes } = await createUpper(layout, { bytes: 5 * gib, to: fs.path('upper') })
      expect(strategy).toBe(fs.reflinks ? 'ficlone' : 'copy_file_range')
      expect(logicalBytes).toBe(5 * gib)
      expect(await fs.allocated('upper')).toBeLessThanOrEqual((await allocation(template)).physicalBytes)
      expect((await stat(fs.path('upper'))).mode & 0o777).toBe(0o600)
      expect(await readdir(layout.staging)).toEqual([])
    })

    test('what is written to an upper is in no other one', async () => {
      const layout = dataLayout(fs.path('data'))
      await createUpper(layout, { bytes: smallestUpper, to: fs.path('a') })
      await createUpper(layout, { bytes: smallestUpper, to: fs.path('b') })
      const before = await templateDigest(layout.upperTemplate(smallestUpper))
      await mounted(fs.path('a'), async (root) => {
        await mkdir(join(root, 'upper'))
        await writeFile(join(root, 'upper', 'file'), Buffer.alloc(1 << 20, 'a'))
      })
      await mounted(fs.path('b'), async (root) => expect(await readdir(root)).toEqual(['lost+found']))
      await mounted(fs.path('a'), async (root) => {
        expect((await readFile(join(root, 'upper', 'file'))).equals(Buffer.alloc(1 << 20, 'a'))).toBe(true)
      })
      for (const upper of ['a', 'b']) await runTool('e2fsck', ['-fn', fs.path(upper)])
      expect(await templateDigest(layout.upperTemplate(smallestUpper))).toBe(before)
      // The kernel has not filled the inode tables with zeros.
      expect(await fs.allocated('b')).toBeLessThan(1 << 20)
    })
  })
}

describe.runIf(e2fsprogs)('the template', () => {
  test('is a clean ext4 with a journal, whose inode tables need no zeroing, at every size', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    for (const bytes of [smallestUpper, 5 * gib, 60_000_000_000]) {
      const path = await ensureUpperTemplate(layout, bytes)
      await runTool('e2fsck', ['-fn', path])
      const report = (await runTool('dumpe2fs', [path])).stdout.toString()
      expect(report).toMatch(/Filesystem features:.* has_journal .*metadata_csum/)
      const groups = report.match(/^Group \d+:.*$/gm) ?? []
      expect(groups.length).toBeGreaterThan(0)
      expect(groups.filter((group) => !group.includes('ITABLE_ZEROED'))).toEqual([])
      expect((await stat(path)).size).toBe(upperBytes(bytes))
    }
    expect((await allocation(layout.upperTemplate(5 * gib))).physicalBytes).toBeLessThanOrEqual(256 * 1024)
  })

  test('is the same bytes each time', async () => {
    await using dir = await temporaryDirectory()
    const paths = await Promise.all(
      ['one', 'two'].map((name) => ensureUpperTemplate(dataLayout(join(dir.path, name)), smallestUpper)),
    )
    const [one, two] = await Promise.all(paths.map(templateDigest))
    expect(one).toBe(two)
  })

  test('is made once for callers at the same time, and left alone afterwards', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    const paths = await Promise.all(Array.from({ length: 10 }, () => ensureUpperTemplate(layout, gib)))
    expect(new Set(paths)).toEqual(new Set([layout.upperTemplate(gib)]))
    const { ino } = await stat(layout.upperTemplate(gib))
    await ensureUpperTemplate(layout, gib)
    expect((await stat(layout.upperTemplate(gib))).ino).toBe(ino)
    expect(await readdir(layout.staging)).toEqual([])
  })

  test('of the wrong size, cut short by something else, is made again', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    await mkdir(layout.templates, { recursive: true })
    await writeFile(layout.upperTemplate(gib), 'torn')
    await runTool('e2fsck', ['-fn', await ensureUpperTemplate(layout, gib)])
  })
})

describe.runIf(e2fsprogs)('createUpper', () => {
  test('rounds up to whole blocks, and refuses sizes that cannot be', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    const { logicalBytes } = await createUpper(layout, { bytes: 1_000_000_001, to: join(dir.path, 'upper') })
    expect(logicalBytes).toBe(1_000_001_536)
    for (const bytes of [0, -1, Number.NaN, 1 << 20, 2 ** 45]) {
      const attempt = createUpper(layout, { bytes, to: join(dir.path, 'no') })
      await expect(attempt).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    }
    expect((await readdir(dir.path)).sort()).toEqual(['staging', 'templates', 'upper'])
  })

  test('leaves what is there, and makes a template that a prune has taken', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    const to = join(dir.path, 'upper')
    await createUpper(layout, { bytes: gib, to })
    await chmod(to, 0o400)
    await expect(createUpper(layout, { bytes: gib, to })).rejects.toMatchObject({ code: 'FILE_EXISTS' })
    expect((await stat(to)).mode & 0o777).toBe(0o400)
    await rm(layout.templates, { recursive: true })
    await createUpper(layout, { bytes: gib, to: `${to}-2` })
    const nowhere = createUpper(layout, { bytes: gib, to: join(dir.path, 'absent', 'upper') })
    await expect(nowhere).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  })
})

test.runIf(canMount && isOnPath('mkfs.ext4'))(
  'a disk that is full for a template or an upper keeps nothing of it',
  async () => {
    await withSmallFilesystem('ext4', 32 << 20, async (directory, fs) => {
      const layout = dataLayout(join(directory, 'data'))
      await mkdir(layout.staging, { recursive: true })
      await fs.fill({ leave: '8KiB' })
      await expect(ensureUpperTemplate(layout, gib)).rejects.toMatchObject({
        code: 'NO_SPACE',
      })
      expect(await readdir(layout.staging)).toEqual([])

      await rm(fs.path('filler'))
      await ensureUpperTemplate(layout, gib)
      await fs.fill({ leave: '0' })
      const attempt = createUpper(layout, { bytes: gib, to: fs.path('upper') })
      await expect(attempt).rejects.toMatchObject({ code: 'NO_SPACE' })
      expect(await fs.exists('upper')).toBe(false)
    })
  },
)

async function templateDigest(path: string): Promise<string> {
  return digestOf(await readFile(path))
}

async function mounted(disk: string, use: (root: string) => Promise<void>): Promise<void> {
  await using dir = await temporaryDirectory()
  await runTool('mount', ['-o', 'loop', '-t', 'ext4', disk, dir.path])
  try {
    await use(dir.path)
  } finally {
    await runTool('umount', [dir.path])
  }
}
