import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type {
  CreateVolumeReply,
  ResizeVolumeReply,
  Shed,
  TrimReport,
  UsageReport,
  Volume,
} from '../../src/contract/index.ts'
import { isCleanVolume } from '../../src/disks/index.ts'
import { runTool } from '../../src/host/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { fsckExt4 } from '../support/ext4-mount.ts'
import { kernelTools } from '../support/kernel.ts'
import { type Mounted, mountFresh } from '../support/mount-filesystem.ts'
import { needs } from '../support/needs.ts'

const tools = [
  'qemu-system-x86_64',
  'mkfs.btrfs',
  'mount',
  'mke2fs',
  'e2fsck',
  'debugfs',
  ...busyboxImageTools,
  ...kernelTools,
]
const gib = 2 ** 30
/** Guests under emulation on a busy machine take their time. */
const patience = 240_000

/** Volumes in real guests, where files share extents: each test goes on where the one before it ended. */
describe.runIf(needs({ root: true, tools }))('a volume', { timeout: patience }, () => {
  let cowshed: Cowshed
  let mounted: Mounted

  beforeAll(async () => {
    mounted = await mountFresh('btrfs', 600 * 2 ** 20)
    cowshed = await openCowshed({ data: join(mounted.directory, 'd') })
    const archive = join(mounted.directory, 'mini.tar')
    await writeFile(archive, busyboxArchive())
    await cowshed.ok('image', 'load', archive)
  }, 600_000)
  afterAll(async () => {
    await cowshed[Symbol.asyncDispose]()
    await mounted[Symbol.asyncDispose]()
  })

  const create = async (name: string, ...more: string[]) =>
    await cowshed.run('create', name, '--image', 'mini:1', '--upper-size', '64MiB', '--net', 'none', ...more)
  const sh = async (name: string, script: string) => await cowshed.ok('exec', name, '--', 'sh', '-c', script)
  const volume = async (name: string) =>
    (await cowshed.json<{ volumes: Volume[] }>('volume', 'ls')).volumes.find((each) => each.name === name)
  const sizeIn = async (name: string, path: string) =>
    Number(await sh(name, `df -k ${path} | tail -1 | awk '{print $2}'`)) * 1024
  const disk = (name: string) => cowshed.layout.volume(name).data
  /** What a file has, as somebody reads it who knows of the disk alone; nothing when it is not there. */
  const onDisk = async (name: string, file: string) =>
    (await runTool('debugfs', ['-R', `cat ${file}`, disk(name)])).stdout.toString()

  test('is made once, and is where the shed was told to have it before anything runs in it', async () => {
    expect(await cowshed.ok('volume', 'create', 'data', '--size', '1GiB')).toBe('data created (1.1 GB)\n')
    const again = await cowshed.json<CreateVolumeReply>('volume', 'create', 'data', '--size', '1GiB')
    expect(again).toMatchObject({ outcome: 'unchanged', volume: { status: 'detached', bytes: gib, attached_to: [] } })
    expect((await cowshed.run('volume', 'create', 'data', '--size', '2GiB')).code).toBe(4)
    const made = await create('web', '--volume', 'data:/srv/new place/data', '--iops', '100000')
    expect(made).toMatchObject({ code: 0 })
    expect(await sh('web', 'grep /srv /proc/mounts')).toMatch(
      /^\/dev\/vd[c-z] \/srv\/new\\040place\/data ext4 rw,noatime/,
    )
    await sh('web', 'cd "/srv/new place/data" && echo kept > file && mkdir sub && sync')
    expect(await volume('data')).toMatchObject({
      status: 'attached',
      attached_to: [{ shed: 'web', path: '/srv/new place/data', read_only: false }],
    })
  })

  test('has one shed that writes to it: any other is refused before anything is made, and told who has it', async () => {
    for (const mount of ['data:/x', 'data:/x:ro']) {
      const refused = await create('other', '--volume', mount)
      expect(refused.code).toBe(4)
      expect(refused.stderr).toMatch(/the shed web has the volume data.*\n.*volume detach web data/)
    }
    expect(await create('other', '--volume', 'nothing:/x')).toMatchObject({ code: 3 })
    expect((await create('other', '--volume', 'data:/proc/x')).code).toBe(2)
    expect(await cowshed.ok('ls', '-q')).toBe('web\n')
    const removed = await cowshed.run('volume', 'rm', '--force', 'data')
    expect(removed).toMatchObject({ code: 4 })
    expect(removed.stderr).toContain('the shed web has the volume data')
    for (const change of [
      ['detach', 'web', 'data'],
      ['attach', 'web', 'data:/elsewhere'],
    ]) {
      expect(await cowshed.run('volume', ...change), change.join(' ')).toMatchObject({ code: 4 })
    }
  })

  test('becomes larger while its guest writes to it, and smaller never', async () => {
    const reply = await cowshed.json<ResizeVolumeReply>('volume', 'resize', 'data', '2GiB')
    expect(reply).toMatchObject({ grown_by: 'guest', volume: { bytes: 2 * gib } })
    expect(await sizeIn('web', '"/srv/new place/data"')).toBeGreaterThan(1.9 * gib)
    expect(await cowshed.json('volume', 'resize', 'data', '2GiB')).toMatchObject({ grown_by: 'guest' })
    expect(await cowshed.run('volume', 'resize', 'data', '1GiB')).toMatchObject({ code: 2 })
  })

  test('is a row of df, of which its guest gives back what it has free', async () => {
    await sh(
      'web',
      'dd if=/dev/urandom of="/srv/new place/data/big" bs=1M count=40 && sync && rm "/srv/new place/data/big" && sync',
    )
    const { volumes, totals } = await cowshed.json<UsageReport>('system', 'df')
    const { physical_bytes = 0 } = (await volume('data')) ?? {}
    expect(physical_bytes).toBeGreaterThan(40 * 2 ** 20)
    expect(volumes).toMatchObject([{ name: 'data', status: 'attached', disk: { path: disk('data') } }])
    expect(volumes[0]?.exclusive_bytes).toBeGreaterThan(40 * 2 ** 20)
    expect(totals.volumes).toMatchObject({ files: 2, exclusive_bytes: volumes[0]?.exclusive_bytes })
    const { items } = await cowshed.json<TrimReport>('system', 'trim', 'web')
    expect(items.map(({ kind, name, by }) => [kind, name, by])).toEqual([
      ['shed', 'web', 'guest'],
      ['volume', 'data', 'guest'],
    ])
    expect((await volume('data'))?.physical_bytes).toBeLessThan(physical_bytes - 39 * 2 ** 20)
    expect(await cowshed.ok('system', 'df', '--explain', 'data')).toContain('volume data')
  })

  test('is cloned while its guest writes to it, with all that had been written', async () => {
    await sh('web', 'echo unsynced > "/srv/new place/data/late"')
    await cowshed.ok('volume', 'clone', 'data', 'copy')
    expect((await cowshed.run('volume', 'clone', 'data', 'copy')).code).toBe(4)
    await sh('web', 'echo thawed > "/srv/new place/data/after"')
    expect(await isCleanVolume(cowshed.layout, 'copy')).toBe(true)
    expect(await onDisk('copy', 'late')).toBe('unsynced\n')
    expect(await onDisk('copy', 'after')).toBe('')
  })

  test('is unmounted when its shed stops; what it grows by then its next guest takes', async () => {
    await cowshed.ok('stop', 'web')
    expect(await isCleanVolume(cowshed.layout, 'data')).toBe(true)
    await fsckExt4(disk('data'))
    expect(await cowshed.json('volume', 'resize', 'data', '3GiB')).toMatchObject({ grown_by: 'next mount' })
    expect((await create('one', '--volume', 'data:/in:ro')).code).toBe(4)
    await cowshed.ok('volume', 'detach', 'web', 'data')
  })

  test('is read by any number while nobody writes to it, and their guests cannot write to its drive', async () => {
    const names = ['one', 'two']
    for (const { code } of await Promise.all(names.map((name) => create(name, '--volume', 'data:/in:ro'))))
      expect(code).toBe(0)
    const attempts = [
      'cat /in/file; drive=$(grep /in /proc/mounts | cut -d" " -f1); cat /sys/block/$(basename $drive)/ro',
      'echo x 2> /dev/null > /in/x || echo no file',
      'mount -o remount,rw /in 2> /dev/null || echo no remount',
      'dd if=/dev/zero of=$drive bs=4k count=1 oflag=sync 2> /dev/null || echo no write',
    ]
    for (const name of names) {
      expect(await sh(name, attempts.join('; '))).toBe('kept\n1\nno file\nno remount\nno write\n')
    }
    expect((await cowshed.run('volume', 'attach', 'web', 'data:/d')).stderr).toContain(
      'the shed one reads the volume data',
    )
    expect((await cowshed.run('volume', 'resize', 'data', '4GiB')).code).toBe(4)
    await cowshed.ok('volume', 'clone', 'data', 'second')
    await cowshed.ok('delete', '--force', ...names)
    await cowshed.ok('volume', 'rm', '--force', 'second', 'copy')
  })

  test('whose guest was killed is read by nobody before one that writes to it has replayed its journal', async () => {
    await cowshed.ok('volume', 'attach', 'web', 'data:/d')
    await cowshed.ok('start', 'web')
    expect(await sizeIn('web', '/d')).toBeGreaterThan(2.9 * gib)
    await sh('web', 'echo synced > /d/synced; sync; echo more > /d/more')
    process.kill((await cowshed.json<Shed>('inspect', 'web')).pid ?? 0, 'SIGKILL')
    await until(async () => (await cowshed.json<Shed>('inspect', 'web')).status === 'crashed', 'the crash is noticed')
    await cowshed.ok('volume', 'detach', 'web', 'data')
    const refused = await cowshed.run('volume', 'attach', 'web', 'data:/d:ro')
    expect(refused).toMatchObject({ code: 4 })
    expect(refused.stderr).toMatch(/volume data was not unmounted.*\n.*cowshed volume attach SHED data:\/d/)
    await cowshed.ok('volume', 'attach', 'web', 'data:/d')
    await cowshed.ok('start', 'web')
    await cowshed.ok('stop', 'web')
    await cowshed.ok('volume', 'attach', 'web', 'data:/d:ro')
    expect(await onDisk('data', 'synced')).toBe('synced\n')
    await fsckExt4(disk('data'))
  })

  test('keeps what was written to it when its shed is reset, or deleted as it runs', async () => {
    await cowshed.ok('volume', 'attach', 'web', 'data:/d')
    await cowshed.ok('start', 'web')
    await sh('web', 'echo one > /d/before-reset')
    await cowshed.ok('reset', '--force', 'web')
    await sh('web', 'cat /d/before-reset; echo two > /d/before-delete')
    await cowshed.ok('delete', '--force', 'web')
    expect(await isCleanVolume(cowshed.layout, 'data')).toBe(true)
    expect(await onDisk('data', 'before-reset')).toBe('one\n')
    expect(await onDisk('data', 'before-delete')).toBe('two\n')
  })

  test('that cannot be mounted fails the start, which says so, and the create, which leaves nothing', async () => {
    expect(await create('web', '--volume', 'data:/d', '--no-start')).toMatchObject({ code: 0 })
    await writeFile(disk('data'), Buffer.alloc(64 * 1024), { flag: 'r+' })
    const started = await cowshed.run('start', 'web')
    expect(started.code).toBe(1)
    expect(started.stderr).toContain(
      'web did not boot: the volume data cannot be mounted at /d: the guest says: mount its filesystem',
    )
    expect((await cowshed.json<Shed>('inspect', 'web')).status).toBe('stopped')
    await cowshed.ok('delete', '--force', 'web')
    expect((await create('web', '--volume', 'data:/d')).stderr).toContain('the volume data cannot be mounted')
    expect(await cowshed.ok('ls', '-q')).toBe('')
    expect(await cowshed.vmms()).toEqual([])
    await cowshed.ok('volume', 'rm', '--force', 'data')
    expect(await cowshed.ok('volume', 'ls', '-q')).toBe('')
  })
})
