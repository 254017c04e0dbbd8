import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ForkShedReply, Shed, UsageReport } from '../../src/contract/index.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, until } from '../support/cowshed.ts'
import { type CowshedOn, cowshedOn, createWebWithVolume } from '../support/cowshed-on.ts'
import { fsckExt4 } from '../support/ext4-mount.ts'
import { fillDisk } from '../support/filesystems.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const tools = ['qemu-system-x86_64', 'mkfs.btrfs', 'mount', 'mke2fs', 'e2fsck', ...busyboxImageTools, ...kernelTools]
const mib = 2 ** 20

/** Forks of one guest, and of those, where files share extents: each test goes on where the one before it ended. */
describe.runIf(needs({ root: true, tools }))('a fork', () => {
  let cowshed: Cowshed
  let place: CowshedOn

  beforeAll(async () => {
    place = await cowshedOn('btrfs', 900 * mib)
    cowshed = place.cowshed
    await createWebWithVolume(place)
  }, 600_000)
  afterAll(async () => await place[Symbol.asyncDispose]())

  const sh = async (name: string, script: string) => await cowshed.ok('exec', name, '--', 'sh', '-c', script)
  const shed = async (name: string) => await cowshed.json<Shed>('inspect', name)
  const names = async () => (await cowshed.ok('ls', '-q')).trim().split('\n')
  const marks = 'cat /dev/shm/mark /root/mark /data/mark'
  const mark = (word: string) => `mkdir -p /dev/shm; for at in /dev/shm /root /data; do echo ${word} > $at/mark; done`

  test('goes on where its shed is, with RAM, disk and volume of its own, as somebody else', async () => {
    await sh('web', mark('web'))
    const forked = await cowshed.json<ForkShedReply>('fork', 'web', 'w', '--count', '2')
    expect(forked.sheds.map(({ name, status, forked_from }) => [name, status, forked_from?.name])).toEqual([
      ['w-1', 'running', 'web'],
      ['w-2', 'running', 'web'],
    ])
    expect(forked.pause_ms).toBeGreaterThan(0)
    await sh('w-1', mark('one'))
    await sh('web', mark('later'))
    expect(await sh('w-1', marks)).toBe('one\none\none\n')
    expect(await sh('w-2', marks)).toBe('web\nweb\nweb\n')
    const who = await Promise.all(['web', 'w-1', 'w-2'].map((name) => sh(name, 'hostname; cat /etc/machine-id')))
    expect(who.map((text) => text.split('\n')[0])).toEqual(['web', 'w-1', 'w-2'])
    expect(new Set(who.map((text) => text.split('\n')[1])).size).toBe(3)
    const random = await Promise.all(['w-1', 'w-2'].map((name) => sh(name, 'head -c 8 /dev/urandom | od -An -tx1')))
    expect(random[0]).not.toBe(random[1])
    for (const name of ['w-1', 'w-2']) {
      expect(Math.abs(Number(await sh(name, 'date +%s')) - Date.now() / 1000)).toBeLessThan(30)
    }
  })

  test('shares the pages that nobody has written to, and what is on the disk', async () => {
    const { pid } = await shed('w-2')
    const smaps = await readFile(`/proc/${pid}/smaps`, 'latin1')
    const [, ram = ''] = smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ .*mem\.snap)/m)
    expect(ram).toMatch(/^[0-9a-f]+-[0-9a-f]+ rw-p .*mem\.snap \(deleted\)/)
    const kib = (field: string) => Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(ram)?.[1])
    expect(kib('Shared_Clean') + kib('Shared_Dirty')).toBeGreaterThan(1024)
    expect(await cowshed.staging()).toEqual([])
    const df = await cowshed.json<UsageReport>('system', 'df')
    expect(df.deleted.map(({ path }) => path)).toContainEqual(expect.stringMatching(/mem\.snap/))
    expect(df.orphans).toEqual([])
  })

  test('can be forked, can sleep, and outlives what it was forked from', async () => {
    await sh('w-1', 'echo deep > /dev/shm/mark')
    await cowshed.ok('create', 'deep', '--from', 'w-1')
    await cowshed.ok('delete', 'w-1', '--force')
    expect((await shed('deep')).volumes.map(({ volume }) => volume)).toEqual(['deep-data'])
    expect(await sh('deep', marks)).toBe('deep\none\none\n')
    await cowshed.ok('stop', '--keep-memory', 'deep')
    // What sleeps is forked as it sleeps.
    expect(await cowshed.ok('fork', 'deep', 'deeper')).toBe('deeper running (fork of deep)\n')
    expect((await shed('deep')).status).toBe('cold')
    expect(await sh('deeper', marks)).toBe('deep\none\none\n')
    await cowshed.ok('delete', 'deep', '--force')
    await cowshed.ok('stop', 'deeper')
    await cowshed.ok('start', 'deeper')
    expect(await sh('deeper', 'hostname; cat /root/mark; ls /dev/shm 2>&1')).toMatch(/^deeper\none\n((?!mark).)*$/s)
    await cowshed.ok('stop', 'deeper')
    await fsckExt4(cowshed.layout.volume('deeper-data').data)
    // Without a memory it is booted.
    await cowshed.ok('fork', 'deeper', 'booted')
    expect(await sh('booted', 'hostname; cat /root/mark /data/mark')).toBe('booted\none\none\n')
    await cowshed.ok('delete', 'booted', 'deeper', '--force')
  })

  test('of one that is paused goes on, and that one stays as it is', async () => {
    await cowshed.ok('pause', 'web')
    await cowshed.ok('fork', 'web', 'warm')
    expect(await sh('warm', marks)).toBe('later\nlater\nlater\n')
    expect((await shed('web')).status).toBe('paused')
    await cowshed.ok('wake', 'web')
    expect(await sh('web', marks)).toBe('later\nlater\nlater\n')
    await cowshed.ok('delete', 'warm', '--force')
  })

  test('that cannot be is refused before anything is cut', async () => {
    await cowshed.ok('volume', 'create', 'v-2-data', '--size', '64MiB')
    for (const [args, code, said] of [
      [['web', 'w', '--count', '3'], 4, 'there is a shed w-2 already'],
      [['web', 'v', '--count', '2'], 4, 'v-2-data'],
      [['web', 'n'.repeat(63), '--count', '2'], 2, 'name'],
      [['nobody', 'x'], 3, 'nobody'],
    ] as const) {
      const refused = await cowshed.run('fork', ...args)
      expect([refused.code, refused.stderr], args.join(' ')).toEqual([code, expect.stringContaining(said)])
    }
    const other = await cowshed.run('create', 'x', '--from', 'web', '--cpus', '2')
    expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('cowshed snapshot create web')])
    await cowshed.runWith({ input: 's3cret' }, 'secret', 'set', 'key')
    await cowshed.ok('secret', 'give', 'w-2', 'key:KEY')
    await cowshed.ok('secret', 'take', 'w-2', 'key')
    const secret = await cowshed.run('fork', 'w-2', 'x')
    expect([secret.code, secret.stderr]).toEqual([2, expect.stringContaining('--with-secrets')])
    expect(await names()).toEqual(['w-2', 'web'])
    expect(await cowshed.staging()).toEqual([])
  })

  test('that finds no space for its RAM is not there, and its shed goes on', async () => {
    await cowshed.ok('delete', 'w-2', '--force')
    const filler = join(place.directory, 'filler')
    await fillDisk(filler, 16 * mib)
    for (const args of [
      ['fork', 'web', 'full'],
      ['snapshot', 'create', 'web', 'full', '--memory'],
    ]) {
      const refused = await cowshed.run(...args)
      expect([refused.code, refused.stderr], args.join(' ')).toEqual([
        5,
        expect.stringMatching(/no space left\nhint: web goes on as it was; /),
      ])
    }
    await rm(filler)
    await sh('web', `sync; ${mark('later')}; sync`)
    expect(await names()).toEqual(['web'])
    expect(await cowshed.ok('snapshot', 'ls', '-q')).toBe('')
    expect(await cowshed.staging()).toEqual([])
  })

  test('is whole or not there when the daemon was killed while many were made', async () => {
    const forking = cowshed.start('fork', 'web', 'k', '--count', '4')
    await until(
      async () => (await stat(cowshed.layout.shed('k-2').machine).catch(() => undefined)) !== undefined,
      'k-2',
    )
    await cowshed.killDaemon()
    forking.kill('SIGKILL')
    const whole = (await names()).filter((name) => name.startsWith('k-'))
    for (const name of whole) {
      expect((await shed(name)).status).toBe('running')
      expect(await sh(name, `hostname; ${marks}`)).toBe(`${name}\nlater\nlater\nlater\n`)
    }
    expect(await cowshed.staging()).toEqual([])
    const volumes = (await cowshed.ok('volume', 'ls', '-q')).trim().split('\n')
    expect(volumes.filter((name) => name.startsWith('k-'))).toEqual(whole.map((name) => `${name}-data`))
    expect((await cowshed.vmms()).length).toBe((await names()).length)
    expect(await sh('web', marks)).toBe('later\nlater\nlater\n')
  })
})
