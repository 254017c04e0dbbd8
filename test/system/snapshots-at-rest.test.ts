import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { openCowshed } from '../support/cowshed.ts'
import { fsckExt4 } from '../support/ext4-mount.ts'
import { withSmallFilesystem } from '../support/filesystems.ts'
import { needs } from '../support/needs.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('snapshots of sheds that are stopped', () => {
  let directory: TemporaryDirectory
  let rooms: OpenedRooms
  beforeAll(async () => {
    directory = await temporaryDirectory()
    rooms = await openRoomsOn(directory.path)
    await rooms.loadMini()
    await rooms.create('web')
    await rooms.create('own', { rootfs: 'ext4', upper_bytes: 192 * 2 ** 20 })
  })
  afterAll(async () => {
    await rooms[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  test('never change, and are a whole disk where the shed has one', async () => {
    const { sheds, layout } = rooms
    await sheds.snapshots.create({ shed: 'web', name: 'upper' })
    await sheds.snapshots.create({ shed: 'own', name: 'whole' })
    for (const path of [layout.snapshot('upper').upper, layout.snapshot('whole').rootfs]) {
      expect((await stat(path)).mode & 0o777, path).toBe(0o400)
    }
    await rooms.create('copy', { image: undefined, rootfs: undefined, upper_bytes: undefined, from_snapshot: 'whole' })
    expect(await sheds.get('copy')).toMatchObject({ rootfs: 'ext4', snapshot: { name: 'whole' } })
    const disk = layout.shed('copy').rootfs
    expect((await stat(disk)).mode & 0o777).toBe(0o600)
    expect((await readFile(disk)).equals(await readFile(layout.snapshot('whole').rootfs))).toBe(true)
    await sheds.reset('copy')
    expect((await sheds.get('copy')).snapshot).toBeUndefined()
  })

  test('are asked for in a way that makes sense, or refused', async () => {
    const refused = { code: 'INVALID_REQUEST' }
    const from = { image: undefined, from_snapshot: 'upper' }
    await expect(rooms.create('x', { ...from, image: 'mini:1' })).rejects.toMatchObject(refused)
    await expect(rooms.create('x', { ...from, rootfs: 'ext4' })).rejects.toMatchObject(refused)
    await expect(rooms.create('x', { ...from, upper_bytes: 128 * 2 ** 20 })).rejects.toMatchObject(refused)
    await expect(rooms.create('x', { image: undefined })).rejects.toMatchObject(refused)
    await expect(rooms.create('x', { ...from, from_snapshot: 'nothing' })).rejects.toMatchObject({
      code: 'SNAPSHOT_NOT_FOUND',
    })
    const { snapshots } = rooms.sheds
    await expect(snapshots.create({ shed: 'web', name: '../x' })).rejects.toMatchObject(refused)
    await expect(snapshots.create({ shed: 'none', name: 'x' })).rejects.toMatchObject({ code: 'SHED_NOT_FOUND' })
    await expect(snapshots.create({ shed: 'web', name: 'upper' })).rejects.toMatchObject({
      code: 'SNAPSHOT_ALREADY_EXISTS',
    })
    expect((await rooms.sheds.list()).map(({ name }) => name)).not.toContain('x')
    expect(await readdir(rooms.layout.staging)).toEqual([])
  })

  test('while one cannot be read no image goes, and it is removed by force alone', async () => {
    const { sheds, images, layout } = rooms
    const { record } = layout.snapshot('upper')
    const whole = await readFile(record)
    await rm(record)
    await writeFile(record, '{')
    expect(await sheds.snapshots.list()).toMatchObject([
      { name: 'upper', status: 'broken' },
      { name: 'whole', status: 'whole' },
    ])
    const closed = { code: 'RECORD_INVALID', message: expect.stringContaining(record) }
    await expect(images.remove('mini:1', { force: true })).rejects.toMatchObject(closed)
    await expect(rooms.create('x', { image: undefined, from_snapshot: 'upper' })).rejects.toMatchObject(closed)
    await expect(sheds.snapshots.remove('upper', { force: false })).rejects.toMatchObject(closed)
    await rm(record)
    await writeFile(record, whole)
    await rm(layout.snapshot('upper').upper)
    expect(await sheds.snapshots.get('upper')).toMatchObject({ status: 'broken' })
    await sheds.snapshots.remove('upper', { force: true })
    await expect(sheds.snapshots.get('upper')).rejects.toMatchObject({ code: 'SNAPSHOT_NOT_FOUND' })
  })
})

test.runIf(needs({ tools: ['mke2fs', 'e2fsck', ...busyboxImageTools] }))(
  'kill -9 of the daemon while snapshots are taken, used and removed leaves each whole or not there',
  async () => {
    await using cowshed = await openCowshed({ kernel: false })
    const archive = `${cowshed.layout.root}.tar`
    await writeFile(archive, busyboxArchive())
    await cowshed.ok('image', 'load', archive)
    await cowshed.ok('create', 'web', '--image', 'mini:1', '--upper-size', '64MiB', '--no-start')
    await cowshed.ok('snapshot', 'create', 'web', 'first')
    const requests = [
      ['POST', '/api/snapshots', { shed: 'web', name: 'made' }],
      ['POST', '/api/sheds', { name: 'copy', from_snapshot: 'first', start: false }],
      ['DELETE', '/api/snapshots/made?force=true', undefined],
      ['DELETE', '/api/sheds/copy?force=true', undefined],
    ] as const
    for (const moment of [2, 6, 14]) {
      await cowshed.ok('snapshot', 'ls')
      const cut = requests.map(([method, path, body]) => cowshed.request(method, path, body).catch(() => undefined))
      await sleep(moment)
      await cowshed.killDaemon()
      await Promise.all(cut)
      const names = (await cowshed.ok('snapshot', 'ls', '-q')).split('\n').filter((name) => name !== '')
      expect(names).toContain('first')
      expect(await cowshed.ok('snapshot', 'ls')).not.toContain('broken')
      expect(await cowshed.ok('ls', '-a')).not.toContain('broken')
      expect(await cowshed.staging()).toEqual([])
      expect((await readdir(cowshed.layout.snapshots)).sort()).toEqual(names)
      for (const name of names) await fsckExt4(cowshed.layout.snapshot(name).upper)
    }
    await rm(archive)
  },
  240_000,
)

test.runIf(needs({ root: true, tools: ['mke2fs', 'mkfs.ext4', 'mount', 'umount', ...busyboxImageTools] }))(
  'on a full disk nothing is left of a snapshot that could not be taken, and one can still be removed',
  async () => {
    await withSmallFilesystem('ext4', 96 << 20, async (directory, fs) => {
      await using rooms = await openRoomsOn(directory)
      await rooms.loadMini()
      await rooms.create('web')
      await rooms.sheds.snapshots.create({ shed: 'web', name: 'first' })
      await fs.fill({ leave: '16KiB' })
      const noSpace = { code: 'NO_SPACE' }
      await expect(rooms.sheds.snapshots.create({ shed: 'web', name: 'second' })).rejects.toMatchObject(noSpace)
      const from = { image: undefined, from_snapshot: 'first' }
      await expect(rooms.create('copy', from)).rejects.toMatchObject(noSpace)
      expect(await readdir(rooms.layout.staging)).toEqual([])
      expect(await readdir(rooms.layout.snapshots)).toEqual(['first'])
      await fs.fill({ leave: '0' })
      await rooms.sheds.snapshots.remove('first', { force: false })
      expect(await readdir(rooms.layout.snapshots)).toEqual([])
    })
  },
)
