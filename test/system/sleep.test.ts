import { existsSync } from 'node:fs'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PruneReport, Shed, UsageReport } from '../../src/contract/index.ts'
import { ramDirectoryPath } from '../../src/daemon/run-directory.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { compressNow } from '../support/compress-now.ts'
import { type Cowshed, openCowshed } from '../support/cowshed.ts'
import { fsckExt4 } from '../support/ext4-mount.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const able = needs({ tools: ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools] })

/** One shed through all its temperatures: each test goes on where the one before it ended. */
describe.runIf(able)('a shed that stands still or sleeps', () => {
  let cowshed: Cowshed

  beforeAll(async () => {
    cowshed = await openCowshed()
    const archive = join(cowshed.layout.root, '../mini.tar')
    await writeFile(archive, busyboxArchive())
    await cowshed.ok('image', 'load', archive)
    await cowshed.ok('volume', 'create', 'data', '--size', '64MiB')
    await cowshed.ok('create', 'web', '--image', 'mini:1', '--memory', '256MiB', '--volume', 'data:/data')
  })
  afterAll(async () => await cowshed[Symbol.asyncDispose]())

  const sh = async (script: string) => await cowshed.ok('exec', 'web', '--', 'sh', '-c', script)
  const shed = async () => await cowshed.json<Shed>('inspect', 'web')

  test('paused it stands still; woken it goes on with the time of now', async () => {
    await sh('mkdir -p /dev/shm; echo in RAM > /dev/shm/mark')
    const { pid } = await shed()
    expect(await cowshed.ok('pause', 'web')).toBe('web paused\n')
    expect(await cowshed.ok('pause', 'web')).toBe('web paused\n')
    expect(await cowshed.ok('ls')).toMatch(/^web +paused /m)
    expect((await cowshed.run('delete', 'web')).code).toBe(2)
    expect(await cowshed.ok('wake', 'web')).toBe('web running\n')
    expect(await cowshed.ok('wake', 'web')).toBe('web running\n')
    expect(Math.abs(Number(await sh('date +%s')) - Date.now() / 1000)).toBeLessThan(30)
    expect(await sh('cat /dev/shm/mark')).toBe('in RAM\n')
    expect((await shed()).pid).toBe(pid)
  })

  test('paused it goes on for what only its guest can do, and stands still again', async () => {
    for (const command of [
      ['snapshot', 'create', 'web', 'still'],
      ['system', 'trim', 'web'],
      ['volume', 'resize', 'data', '96MiB'],
    ]) {
      await cowshed.ok('pause', 'web')
      await cowshed.ok(...command)
      expect((await shed()).status, command.join(' ')).toBe('paused')
    }
    expect(await sh('df -m /data | tail -1')).toMatch(/ [89]\d +\d+ /)
  })

  test('paused it outlives its daemon, is paused still, and is started or stopped like any other', async () => {
    await cowshed.ok('pause', 'web')
    await cowshed.killDaemon()
    expect((await shed()).status).toBe('paused')
    expect(await cowshed.ok('start', 'web')).toBe('web running\n')
    expect(await sh('cat /dev/shm/mark; echo on disk > /root/mark')).toBe('in RAM\n')
    await cowshed.ok('pause', 'web')
    await cowshed.ok('stop', 'web')
    expect(await shed()).not.toHaveProperty('status_reason')
    expect((await cowshed.run('wake', 'web')).stderr).toContain('cowshed start web')
    await cowshed.ok('start', 'web')
    expect(await sh('cat /root/mark; ls /dev/shm 2>&1')).not.toContain('in RAM')
  })

  test('asleep it has no VM and no RAM, its memory is on disk without zeros, and nothing takes its disks from under it', async () => {
    await sh('mkdir -p /dev/shm; echo in RAM > /dev/shm/mark; echo unsynced > /root/mark; echo v > /data/mark')
    expect(await readdir(ramDirectoryPath(cowshed.layout))).toEqual(['web.ram'])
    expect(await cowshed.ok('stop', '--keep-memory', 'web')).toBe('web cold\n')
    expect(await cowshed.ok('stop', '--keep-memory', 'web')).toBe('web cold\n')
    expect(await cowshed.vmms()).toEqual([])
    expect(existsSync(ramDirectoryPath(cowshed.layout))).toBe(false)
    const { memSnap, memory } = cowshed.layout.shed('web')
    expect((await stat(memory)).mode & 0o777).toBe(0o700)
    const { size, mode, blocks } = await stat(memSnap)
    expect([size, mode & 0o777]).toEqual([256 * 2 ** 20, 0o600])
    expect(blocks * 512).toBeLessThan(200 * 2 ** 20)
    expect((await shed()).memory_on_disk_bytes).toBeGreaterThan(blocks * 512)
    const df = await cowshed.json<UsageReport>('system', 'df')
    expect(df.sheds[0]?.other_files.filter(({ kind }) => kind === 'memory').map(({ path }) => basename(path))).toEqual([
      'mem.snap',
      'vm.snap',
    ])
    const skipped = (await cowshed.json<PruneReport>('system', 'prune', '--dry-run', '--until', '0s')).skipped
    expect(skipped).toContainEqual({ kind: 'instance', name: 'web', reason: 'cannot prune shed that is cold' })
    expect(await cowshed.run('pause', 'web')).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('cowshed wake web'),
    })
    for (const command of [
      ['delete', 'web'],
      ['system', 'trim', 'web'],
      ['snapshot', 'create', 'web', 'asleep'],
      ['volume', 'detach', 'web', 'data'],
      ['volume', 'resize', 'data', '128MiB'],
      ['volume', 'clone', 'data', 'other'],
    ]) {
      const refused = await cowshed.run(...command)
      expect(refused.code, command.join(' ')).not.toBe(0)
    }
  })

  test('twenty that wake it at once get one VM, which goes on with its RAM, its disk and its volume as they were', async () => {
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => cowshed.request('POST', '/api/sheds/web/wake', {})),
    )
    expect(new Set(replies)).toEqual(new Set([200]))
    expect(await cowshed.vmms()).toEqual([(await shed()).pid])
    expect(await sh('cat /dev/shm/mark /root/mark /data/mark')).toBe('in RAM\nunsynced\nv\n')
    expect(Math.abs(Number(await sh('date +%s')) - Date.now() / 1000)).toBeLessThan(30)
    expect(existsSync(cowshed.layout.shed('web').memory)).toBe(false)
    await cowshed.killDaemon()
    expect(await sh('echo more >> /root/mark; cat /root/mark')).toBe('unsynced\nmore\n')
  })

  test('it falls asleep while it is paused, again and again, goes on from what was compressed, and is stopped from its sleep with all that it had written', async () => {
    for (const round of ['one', 'two']) {
      await sh(`echo ${round} >> /dev/shm/mark`)
      await cowshed.ok('pause', 'web')
      await cowshed.ok('stop', '--keep-memory', 'web')
      if (round === 'two') expect(await compressNow(cowshed, 'web')).toBeDefined()
      await cowshed.ok('start', 'web')
    }
    expect(await sh('cat /dev/shm/mark')).toBe('in RAM\none\ntwo\n')
    await sh('echo last > /data/mark')
    await cowshed.ok('stop', '--keep-memory', 'web')
    expect(await cowshed.ok('stop', 'web')).toBe('web stopped\n')
    await cowshed.ok('start', 'web')
    expect(await sh('cat /root/mark /data/mark; ls /dev/shm 2>&1')).toMatch(/^unsynced\nmore\nlast\n((?!mark).)*$/s)
    await cowshed.ok('stop', 'web')
    await fsckExt4(cowshed.layout.volume('data').data)
  })
})
