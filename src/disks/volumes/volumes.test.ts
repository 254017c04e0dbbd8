import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { fsckExt4 } from '../../../test/support/ext4-mount.ts'
import { withSmallFilesystem } from '../../../test/support/filesystems.ts'
import { needs } from '../../../test/support/needs.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { dataLayout } from '../../base/index.ts'
import { runTool } from '../../host/index.ts'
import {
  cloneVolume,
  createVolume,
  growVolume,
  isCleanVolume,
  loadAllVolumes,
  loadVolume,
  removeVolume,
} from './index.ts'

const gib = 2 ** 30
const tools = ['mke2fs', 'e2fsck', 'dumpe2fs', 'debugfs']

describe.runIf(needs({ tools }))('a volume', () => {
  test('is a clean ext4 of its size, with a label and a UUID of its own, that a kernel can make larger while it is mounted', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    const made = await createVolume(layout, { name: 'a-name-longer-than-a-label', bytes: 10 * gib - 1 })
    expect(made.bytes).toBe(10 * gib)
    expect(made.physicalBytes).toBeLessThan(2 ** 20)
    const { data } = layout.volume('a-name-longer-than-a-label')
    expect((await stat(data)).mode & 0o777).toBe(0o600)
    await fsckExt4(data)
    const head = await superblock(data)
    expect(head).toMatch(/volume name: +a-name-longer-th\n/)
    expect(head).toMatch(/Filesystem features:.*resize_inode/)
    expect(head).not.toMatch(/sparse_super2|needs_recovery/)
    await createVolume(layout, { name: 'other', bytes: gib })
    expect(uuidOf(await superblock(layout.volume('other').data))).not.toBe(uuidOf(head))
    expect(await readdir(layout.staging)).toEqual([])
  })

  test('is made once by a name, and not of an impossible size', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    const { record } = await createVolume(layout, { name: 'data', bytes: gib })
    await expect(createVolume(layout, { name: 'data', bytes: gib })).rejects.toMatchObject({
      code: 'VOLUME_ALREADY_EXISTS',
    })
    for (const bytes of [1, 2 ** 50]) {
      await expect(createVolume(layout, { name: 'odd', bytes })).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    }
    await expect(createVolume(layout, { name: '../x', bytes: gib })).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    expect((await loadVolume(layout, 'data')).record).toEqual(record)
    expect(await readdir(layout.staging)).toEqual([])
  })

  test('is cloned with what it has, grows without being read, and goes', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    await createVolume(layout, { name: 'data', bytes: gib })
    await runTool('debugfs', ['-w', '-R', `write ${import.meta.filename} kept`, layout.volume('data').data])
    const clone = await cloneVolume(layout, { from: 'data', name: 'copy' })
    expect(clone.record.id).not.toBe((await loadVolume(layout, 'data')).record.id)
    const listing = await runTool('debugfs', ['-R', 'stat kept', layout.volume('copy').data])
    expect(listing.stdout.toString()).toContain(`Size: ${(await stat(import.meta.filename)).size}`)
    await growVolume(layout, { name: 'copy', bytes: 2 * gib })
    await growVolume(layout, { name: 'copy', bytes: gib })
    expect([(await loadVolume(layout, 'copy')).bytes, (await loadVolume(layout, 'data')).bytes]).toEqual([2 * gib, gib])
    await removeVolume(layout, 'copy')
    await expect(removeVolume(layout, 'copy')).rejects.toMatchObject({ code: 'VOLUME_NOT_FOUND' })
    expect((await loadAllVolumes(layout)).map(({ name }) => name)).toEqual(['data'])
    expect(await readdir(layout.staging)).toEqual([])
  })

  test('is not clean while its journal has something, or when it is no filesystem', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    await createVolume(layout, { name: 'data', bytes: gib })
    expect(await isCleanVolume(layout, 'data')).toBe(true)
    await runTool('debugfs', ['-w', '-R', 'feature needs_recovery', layout.volume('data').data])
    expect(await isCleanVolume(layout, 'data')).toBe(false)
    await writeFile(layout.volume('data').data, Buffer.alloc(8192, 7))
    expect(await isCleanVolume(layout, 'data')).toBe(false)
    await writeFile(layout.volume('data').data, '')
    expect(await isCleanVolume(layout, 'data')).toBe(false)
  })

  test('that is broken is listed with what is wrong with it', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    for (const name of ['diskless', 'foreign', 'good', 'torn']) await createVolume(layout, { name, bytes: gib })
    await rm(layout.volume('diskless').data)
    await writeFile(layout.volume('torn').record, '{')
    await rm(layout.volume('foreign').record)
    await mkdir(`${layout.volumes}/Not-A-Name`)
    const all = await loadAllVolumes(layout)
    expect(all.map(({ name, problem }) => [name, problem?.code])).toEqual([
      ['diskless', 'RECORD_INVALID'],
      ['foreign', 'RECORD_INVALID'],
      ['good', undefined],
      ['torn', 'RECORD_INVALID'],
    ])
  })
})

test.runIf(needs({ root: true, tools: ['mke2fs', 'mkfs.ext4', 'mount', 'umount'] }))(
  'on a full disk nothing is left of a volume that could not be made, and one can still be removed',
  async () => {
    await withSmallFilesystem('ext4', 48 << 20, async (directory, fs) => {
      const layout = dataLayout(directory)
      await createVolume(layout, { name: 'first', bytes: gib })
      await fs.fill({ leave: '64KiB' })
      await expect(createVolume(layout, { name: 'second', bytes: gib })).rejects.toMatchObject({ code: 'NO_SPACE' })
      await expect(cloneVolume(layout, { from: 'first', name: 'third' })).rejects.toMatchObject({ code: 'NO_SPACE' })
      expect(await readdir(layout.staging)).toEqual([])
      expect(await readdir(layout.volumes)).toEqual(['first'])
      await fs.fill({ leave: '0' })
      await growVolume(layout, { name: 'first', bytes: 2 * gib })
      await removeVolume(layout, 'first')
      expect(await readdir(layout.volumes)).toEqual([])
    })
  },
)

async function superblock(path: string): Promise<string> {
  return (await runTool('dumpe2fs', ['-h', path])).stdout.toString()
}

function uuidOf(head: string): string | undefined {
  return /UUID: +(\S+)/.exec(head)?.[1]
}
