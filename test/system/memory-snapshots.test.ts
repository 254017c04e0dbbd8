import { stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ListBackupsReply, Shed, Snapshot, SnapshotDetail, UsageReport } from '../../src/contract/index.ts'
import { isLocked } from '../../src/host/index.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { compressSnapshotNow } from '../support/compress-now.ts'
import { type Cowshed, until } from '../support/cowshed.ts'
import { type CowshedOn, cowshedOn, createWebWithVolume } from '../support/cowshed-on.ts'
import { fsckExt4 } from '../support/ext4-mount.ts'
import { fakeOfAnother } from '../support/fake-of-another.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const tools = ['qemu-system-x86_64', 'mkfs.ext4', 'mount', 'mke2fs', 'e2fsck', ...busyboxImageTools, ...kernelTools]
const mib = 2 ** 20

/** Snapshots of a running guest with its memory, where files share no extents: each test goes on where the one before it ended. */
describe.runIf(needs({ root: true, tools }))('a snapshot with memory', () => {
  let cowshed: Cowshed
  let place: CowshedOn

  beforeAll(async () => {
    place = await cowshedOn('ext4', 900 * mib)
    cowshed = place.cowshed
    await createWebWithVolume(place)
  }, 600_000)
  afterAll(async () => await place[Symbol.asyncDispose]())

  const sh = async (name: string, script: string) => await cowshed.ok('exec', name, '--', 'sh', '-c', script)
  const info = async (name: string) => await cowshed.json<SnapshotDetail>('snapshot', 'info', name)
  const marks = 'cat /dev/shm/mark /root/mark /data/mark'

  test('has RAM, disk and volume of one instant, zeros left out, and its shed goes on', async () => {
    await sh('web', fakeOfAnother)
    await sh('web', 'mkdir -p /dev/shm; echo ram > /dev/shm/mark; echo disk > /root/mark; echo volume > /data/mark')
    // Somebody who is in the memory alone.
    await sh('web', '(while :; do cat /proc/uptime > /dev/shm/beat; done) > /dev/null 2>&1 &')
    const taken = await cowshed.json<Snapshot>('snapshot', 'create', 'web', 'mem', '--memory')
    expect(taken).toMatchObject({ status: 'whole', memory: { bytes: 128 * mib } })
    expect(taken.pause_ms).toBeGreaterThan(0)
    expect(taken.memory?.physical_bytes).toBeLessThan(128 * mib)
    expect(taken.physical_bytes).toBeGreaterThan(taken.memory?.physical_bytes ?? 0)
    const { memSnap, vmSnap, memoryRecord, upper } = cowshed.layout.snapshot('mem')
    const modes = [memSnap, vmSnap, memoryRecord, upper].map(async (path) => (await stat(path)).mode & 0o777)
    expect(await Promise.all(modes)).toEqual([0o600, 0o400, 0o400, 0o400])
    await sh('web', 'for mark in /dev/shm /root /data; do echo later > $mark/mark; done')
    expect(await cowshed.ok('snapshot', 'info', 'mem')).toMatch(/^memory.*134\.2 MB \(/m)
    const df = await cowshed.json<UsageReport>('system', 'df')
    expect(df.snapshots[0]?.other_files.map(({ kind }) => kind).sort()).toEqual([
      'memory',
      'memory',
      'record',
      'record',
    ])
  })

  test('is where another shed goes on, as somebody else, in the time of now', async () => {
    await cowshed.ok('create', 'copy', '--from-snapshot', 'mem')
    expect(await sh('copy', marks)).toBe('ram\ndisk\nvolume\n')
    const who = 'hostname; cat /etc/hostname /etc/machine-id /etc/ssh/ssh_host_rsa_key'
    const [web, copy] = [(await sh('web', who)).split('\n'), (await sh('copy', who)).split('\n')]
    expect(copy.slice(0, 2)).toEqual(['copy', 'copy'])
    expect(copy[2]).toMatch(/^[0-9a-f]{32}$/)
    expect(copy[2]).not.toBe(web[2])
    expect([web[3], copy[3]]).toEqual(['old', 'private rsa root@copy'])
    expect(Math.abs(Number(await sh('copy', 'date +%s')) - Date.now() / 1000)).toBeLessThan(30)
    const beat = await sh('copy', 'cat /dev/shm/beat')
    await until(async () => (await sh('copy', 'cat /dev/shm/beat')) !== beat, 'what ran in it goes on')
    expect(await cowshed.json<Shed>('inspect', 'copy')).toMatchObject({
      status: 'running',
      snapshot: { name: 'mem' },
      volumes: [{ volume: 'copy-data', path: '/data', read_only: false }],
    })
    expect(await sh('web', marks)).toBe('later\nlater\nlater\n')
  })

  test('gives each that goes on from it numbers of its own, and its file stays as it is', async () => {
    await cowshed.ok('create', 'twin', '--from-snapshot', 'mem')
    const random = 'head -c 16 /dev/urandom | od -An -tx1'
    expect(await sh('twin', random)).not.toBe(await sh('copy', random))
    await sh('twin', 'echo twin > /dev/shm/mark; sync')
    expect(await sh('copy', 'cat /dev/shm/mark')).toBe('ram\n')
    await cowshed.ok('delete', 'twin', '--force')
    await cowshed.ok('volume', 'rm', 'twin-data', '--force')
  })

  test('goes to another host and back with its memory', async () => {
    const file = join(place.directory, 'mem.snapshot')
    await cowshed.ok('snapshot', 'export', 'mem', file)
    await cowshed.ok('snapshot', 'rm', 'mem', '--force')
    // Its RAM is that of a shed that runs.
    expect(await sh('copy', marks)).toBe('ram\ndisk\nvolume\n')
    const { deleted } = await cowshed.json<UsageReport>('system', 'df')
    expect(deleted.map(({ path }) => path)).toContainEqual(expect.stringMatching(/mem\.snap/))
    await cowshed.ok('snapshot', 'import', file)
    expect(await info('mem')).toMatchObject({ memory: { bytes: 128 * mib }, lower: 'here' })
  })

  test('comes back from a backup with its memory, compressed meanwhile or not', async () => {
    const backups = join(place.directory, 'backups')
    await cowshed.ok('snapshot', 'backup', 'mem', '--to', backups)
    await cowshed.ok('snapshot', 'restore', 'mem', 'kept', '--from', backups)
    const taken = async () => (await info('kept')).memory?.physical_bytes ?? 0
    const before = await taken()
    expect(await compressSnapshotNow(cowshed, 'kept')).toBeDefined()
    expect(await taken()).toBeLessThan(before * 0.7)
    expect(await cowshed.ok('snapshot', 'info', 'kept')).toMatch(/on disk, compressed\)/)
    await cowshed.ok('snapshot', 'backup', 'kept', '--to', backups)
    const { backups: made } = await cowshed.json<ListBackupsReply>('backup', 'ls', '--at', backups)
    expect(made.find(({ name }) => name === 'kept')).toMatchObject({ added_bytes: 0 })
    await cowshed.ok('create', 'back', '--from-snapshot', 'kept')
    expect(await taken()).toBeGreaterThan(before * 0.9)
    expect(await sh('back', marks)).toBe('ram\ndisk\nvolume\n')
    await cowshed.ok('delete', 'back', '--force')
    await cowshed.ok('volume', 'rm', 'back-data', '--force')
    await cowshed.ok('snapshot', 'rm', 'kept', '--force')
  })

  test('is booted from its disk alone when that is asked for, and then has nothing of its memory', async () => {
    await cowshed.ok('create', 'cold', '--from-snapshot', 'mem', '--cold-boot')
    expect(await sh('cold', 'cat /root/mark /data/mark; ls /dev/shm 2>&1')).toMatch(/^disk\nvolume\n((?!mark).)*$/s)
    await cowshed.ok('stop', 'cold')
    await fsckExt4(cowshed.layout.volume('cold-data').data)
    for (const args of [
      ['--cpus', '2'],
      ['--memory', '256MiB'],
      ['--net', 'none'],
      ['--no-start'],
      ['--no-snapshot-volumes'],
    ]) {
      const refused = await cowshed.run('create', 'other', '--from-snapshot', 'mem', ...args)
      expect([refused.code, refused.stderr], args.join(' ')).toEqual([2, expect.stringContaining('--cold-boot')])
    }
    const partly = await cowshed.run('snapshot', 'create', 'web', 'partly', '--memory', '--no-volumes')
    expect(partly.code).toBe(2)
    const stopped = await cowshed.run('snapshot', 'create', 'cold', 'no', '--memory')
    expect([stopped.code, stopped.stderr]).toEqual([4, expect.stringContaining('cowshed start cold')])
    await cowshed.ok('delete', 'cold', '--force')
  })

  test('that is damaged is gone on from by nobody, and its disk can be booted still', async () => {
    const { memSnap } = cowshed.layout.snapshot('mem')
    await truncate(memSnap, 64 * mib)
    await truncate(memSnap, 128 * mib)
    const refused = await cowshed.run('create', 'torn', '--from-snapshot', 'mem')
    expect(refused.stderr).toContain('is not what was written there')
    expect(refused.stderr).toContain('--cold-boot')
    await truncate(memSnap, 64 * mib)
    expect((await cowshed.run('create', 'torn', '--from-snapshot', 'mem')).stderr).toContain('--cold-boot')
    expect((await info('mem')).status).toBe('whole')
    expect(await cowshed.ok('ls', '-q')).toBe('copy\nweb\n')
    await cowshed.ok('snapshot', 'rm', 'mem', '--force')
  })

  test('of a shed whose RAM began with one is taken again, and that shed sleeps and wakes', async () => {
    await sh('copy', 'echo changed > /dev/shm/mark')
    await cowshed.ok('snapshot', 'create', 'copy', 'again', '--memory')
    expect(await sh('copy', 'cat /dev/shm/mark')).toBe('changed\n')
    await cowshed.ok('stop', '--keep-memory', 'copy')
    // What is asleep can be kept as well, and sleeps on.
    await cowshed.ok('snapshot', 'create', 'copy', 'asleep', '--memory')
    expect((await info('asleep')).pause_ms).toBeUndefined()
    await cowshed.ok('wake', 'copy')
    expect(await sh('copy', marks)).toBe('changed\ndisk\nvolume\n')
    await cowshed.ok('create', 'second', '--from-snapshot', 'asleep')
    expect(await sh('second', marks)).toBe('changed\ndisk\nvolume\n')
  })

  test('that was being taken when the daemon was killed is not there, and the shed goes on', async () => {
    const { heirLock } = cowshed.layout.shed('second')
    const taking = cowshed.start('snapshot', 'create', 'second', 'cut', '--memory')
    await until(async () => await isLocked(heirLock), 'another VMM takes over its memory')
    await cowshed.killDaemon()
    taking.kill('SIGKILL')
    expect(await sh('second', marks)).toBe('changed\ndisk\nvolume\n')
    expect(await cowshed.staging()).toEqual([])
    expect(await cowshed.ok('snapshot', 'ls', '-q')).toBe('again\nasleep\n')
    const running = await Promise.all(['copy', 'second', 'web'].map((name) => cowshed.json<Shed>('inspect', name)))
    expect((await cowshed.vmms()).sort()).toEqual(running.map(({ pid }) => pid).sort())
  })
})
