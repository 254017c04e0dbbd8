import { open, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CreateShedReply, Shed, UsageReport } from '../../src/contract/index.ts'
import { allocation } from '../../src/host/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { fsckExt4 } from '../support/ext4-mount.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const able = needs({ tools: ['qemu-system-x86_64', 'mke2fs', 'e2fsck', ...busyboxImageTools, ...kernelTools] })

/** Sheds with a root filesystem of their own: each test goes on where the one before it ended. */
describe.runIf(able)('a shed that was made with --rootfs ext4', () => {
  let cowshed: Cowshed

  beforeAll(async () => {
    cowshed = await openCowshed()
    const archive = join(cowshed.layout.root, '../mini.tar')
    await writeFile(archive, busyboxArchive())
    await cowshed.ok('image', 'load', archive)
  }, 600_000)
  afterAll(async () => await cowshed[Symbol.asyncDispose]())

  const create = async (name: string, ...more: string[]) =>
    await cowshed.run('create', name, '--image', 'mini:1', '--rootfs', 'ext4', ...more)
  const sh = async (name: string, script: string) => await cowshed.ok('exec', name, '--', 'sh', '-c', script)
  const status = async (name: string) => await cowshed.json<Shed>('inspect', name)
  const rootfs = (name: string) => cowshed.layout.shed(name).rootfs

  test('kill -9 of the daemon while its image is made leaves no part of one, and the next create makes it', async () => {
    const body = { name: 'own', image: 'mini:1', rootfs: 'ext4', upper_bytes: 2 ** 30, start: false }
    for (const moment of [2, 20, 100, 300]) {
      await cowshed.ok('ls')
      const cut = cowshed.request('POST', '/api/sheds', body).catch(() => undefined)
      await sleep(moment)
      await cowshed.killDaemon()
      await cut
      await cowshed.ok('ls')
      expect(await cowshed.staging()).toEqual([])
    }
    const reply = await cowshed.json<CreateShedReply>(
      ...['create', 'own', '--image', 'mini:1', '--rootfs', 'ext4', '--upper-size', '1GiB'],
      '--no-start',
    )
    expect(reply.shed).toMatchObject({ name: 'own', rootfs: 'ext4', upper_bytes: 2 ** 30 })
    await fsckExt4(rootfs('own'))
  })

  test('boots from one disk that is its root, with the files of the image and its identity', async () => {
    await cowshed.ok('start', 'own')
    const mounts = await sh('own', 'cat /proc/mounts')
    expect(mounts).toMatch(/^\/dev\/vda \/ ext4 rw,noatime/m)
    expect(mounts).not.toMatch(/erofs|overlay/)
    expect(await sh('own', 'cat /srv/kept; ls /srv /etc/old; hostname; ls /sys/block | grep -c vd')).toBe(
      'kept\n/etc/old:\nnew\n\n/srv:\nkept\nown\n1\n',
    )
    expect(await sh('own', 'cat /etc/machine-id')).toMatch(/^[0-9a-f]{32}\n$/)
    const [total = 0] = (await sh('own', "df -k / | tail -1 | awk '{print $2}'")).split('\n').map(Number)
    expect(total).toBeGreaterThan(900_000)
  })

  test('keeps what is written over a stop and a start, and its filesystem stays clean', async () => {
    await sh('own', 'rm /srv/kept; mkdir -p /a/b; echo one > /a/b/file; ln /a/b/file /a/link')
    await cowshed.ok('stop', 'own')
    await fsckExt4(rootfs('own'))
    await cowshed.ok('start', 'own')
    expect(await sh('own', 'cat /a/link; ls /srv | wc -l')).toBe('one\n0\n')
  })

  test('sleeps, is forked, and goes on from a snapshot with its memory', async () => {
    const marks = 'hostname; cat /dev/shm/mark /mark'
    await sh('own', 'mkdir -p /dev/shm; echo slept | tee /mark > /dev/shm/mark')
    await cowshed.ok('stop', '--keep-memory', 'own')
    expect(await status('own')).toMatchObject({ status: 'cold' })
    expect(await sh('own', marks)).toBe('own\nslept\nslept\n')
    await cowshed.ok('snapshot', 'create', 'own', 'asleep', '--memory')
    await cowshed.ok('fork', 'own', 'fork')
    await sh('fork', 'echo forked | tee /mark > /dev/shm/mark')
    await cowshed.ok('create', 'again', '--from-snapshot', 'asleep')
    expect(await Promise.all(['own', 'fork', 'again'].map((name) => sh(name, marks)))).toEqual([
      'own\nslept\nslept\n',
      'fork\nforked\nforked\n',
      'again\nslept\nslept\n',
    ])
    expect(await status('again')).toMatchObject({ rootfs: 'ext4' })
    await cowshed.ok('stop', 'fork')
    await fsckExt4(rootfs('fork'))
    await cowshed.ok('delete', 'fork', 'again', '--force')
    await cowshed.ok('snapshot', 'rm', '--force', 'asleep')
  })

  test('replays its journal after a kill -9 of its VMM', async () => {
    await sh(
      'own',
      'for i in $(seq 300); do echo $i > /a/$i; done; sync; for i in $(seq 300); do echo x > /a/x$i; done',
    )
    await cowshed.signalVmm('own', 'SIGKILL')
    await until(async () => (await status('own')).status === 'crashed', 'the crash is noticed')
    expect(await needsRecovery(rootfs('own'))).toBe(true)
    await cowshed.ok('start', 'own')
    expect(await sh('own', 'cat /a/300; dmesg | grep -c "recovery complete"')).toBe('300\n1\n')
    await cowshed.ok('stop', 'own')
    expect(await needsRecovery(rootfs('own'))).toBe(false)
    await fsckExt4(rootfs('own'))
  })

  test('grows while it is stopped, and starts although lower and cache are gone', async () => {
    expect(await cowshed.ok('set', 'own', '--upper-size', '10GB')).toContain('10.0 GB of disk')
    await fsckExt4(rootfs('own'))
    await rm(cowshed.layout.cache, { recursive: true })
    await cowshed.ok('start', 'own')
    expect(await sh('own', 'cat /a/b/file')).toBe('one\n')
    expect(Number(await sh('own', "df -P -m / | awk 'NR == 2 { print $2 }'"))).toBeGreaterThan(9000)
    expect(await readdir(cowshed.layout.root)).not.toContain('cache')
  })

  test('is shown as what it is', async () => {
    expect(await status('own')).toMatchObject({ rootfs: 'ext4' })
    const { sheds } = await cowshed.json<UsageReport>('system', 'df')
    expect(sheds.find(({ name }) => name === 'own')?.rootfs).toMatchObject({ path: rootfs('own'), kind: 'rootfs' })
    expect((await create('own', '--upper-size', '10GB')).stdout).toContain('own unchanged')
    const other = await cowshed.run('create', 'own', '--image', 'mini:1', '--upper-size', '10GB')
    expect(other).toMatchObject({ code: 4, stderr: expect.stringContaining('another rootfs') })
  })

  test('is as its image after a reset, which makes what it needs again, and runs as it ran', async () => {
    await cowshed.ok('reset', '--force', 'own')
    expect(await sh('own', 'cat /srv/kept; ls -d /a 2>&1 | grep -c "No such"')).toBe('kept\n1\n')
    expect((await status('own')).status).toBe('running')
  })

  test('that is to be smaller than its image is refused, and nothing is left of it', async () => {
    const { code, stderr } = await create('small', '--upper-size', '64MiB')
    expect({ code, stderr }).toMatchObject({ stderr: expect.stringContaining('needs a disk of') })
    expect(code).not.toBe(0)
    expect(await cowshed.staging()).toEqual([])
    expect(await readdir(cowshed.layout.sheds)).toEqual(['own'])
  })

  test('costs its few blocks, and what it is a clone of is no one else’s', async () => {
    expect((await create('second', '--no-start')).code).toBe(0)
    const { physicalBytes, logicalBytes } = await allocation(rootfs('second'))
    expect(logicalBytes).toBe(5 * 2 ** 30)
    expect(physicalBytes).toBeLessThan(8 << 20)
    await cowshed.ok('delete', '--force', 'second', 'own')
    const plan = await cowshed.json<{ items: { path?: string }[] }>('system', 'prune', '--dry-run', '--until', '0s')
    expect(plan.items.length).toBeGreaterThan(0)
    await cowshed.ok('image', 'rm', '--force', 'mini:1')
    expect(await readdir(cowshed.layout.rootfsImages)).toEqual([])
  })

  test('names the step at which its boot failed', async () => {
    const archive = join(cowshed.layout.root, '../mini.tar')
    await cowshed.ok('image', 'load', archive)
    await create('torn', '--no-start')
    await writeFile(rootfs('torn'), Buffer.alloc(1 << 20))
    const { stderr } = await cowshed.run('start', 'torn')
    expect(stderr).toContain('boot failure 14: the root filesystem is not ext4')
  })
})

/** Whether there is something in the journal of an ext4: bit 2 of feature_incompat. */
async function needsRecovery(path: string): Promise<boolean> {
  await using file = await open(path, 'r')
  const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 1024 + 0x60)
  return (buffer.readUInt32LE(0) & 4) !== 0
}
