import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ServerInfo } from '../../src/contract/index.ts'
import { createWeb } from '../support/at-rest.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed } from '../support/cowshed.ts'
import { fakeQemu } from '../support/fake-qemu.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'
import { openRoomsOn } from '../support/open-rooms.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('who may start, without a VM', () => {
  test('of two starts at once with room for one, one is refused; a start that failed gives its place back', async () => {
    await using dir = await temporaryDirectory()
    await mkdir(join(dir.path, 'data'))
    // `create` of the test's rooms gives 256 MiB.
    await writeFile(join(dir.path, 'data', 'config.toml'), 'limits.max_memory = "500MB"')
    await using rooms = await openRoomsOn(dir.path)
    await rooms.loadMini()
    for (const name of ['a', 'b']) await rooms.create(name)
    for (let round = 0; round < 3; round++) {
      const starts = await Promise.allSettled(['a', 'b'].map((name) => rooms.sheds.start(name)))
      const codes = starts.map((start) => start.status === 'rejected' && (start.reason as { code: string }).code)
      // There is no kernel: that is what ends the start of the one that was let in.
      expect(codes.sort()).toEqual(['HOST_FULL', 'KERNEL_NOT_FOUND'])
      expect(await rooms.sheds.occupants()).toEqual([])
    }
  })
})

/** Over a fake QEMU, which writes to its disk when it is paused. */
describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('a host with room for two sheds', () => {
  test('refuses a third however it is to come to run, before anybody is made to wait, and whoever comes to use one that sleeps', async () => {
    await using _fake = await fakeQemu()
    await using dir = await temporaryDirectory()
    await mkdir(join(dir.path, 'data'))
    await writeFile(join(dir.path, 'data', 'config.toml'), 'limits.max_sheds = 2')
    await using rooms = await openRoomsOn(dir.path)
    const { sheds, layout } = rooms
    await createWeb(rooms)
    await sheds.snapshots.create({ shed: 'web', name: 'mem', memory: true })
    await rooms.create('other', { memory_bytes: 64 * 2 ** 20 })
    await sheds.start('other')
    await sheds.stop('other', { timeout_ms: 1000, keep_memory: true })
    await rooms.create('third', { memory_bytes: 64 * 2 ** 20 })
    await sheds.start('third')
    const before = await readFile(layout.shed('web').upper)

    const full = {
      code: 'HOST_FULL',
      message: expect.stringMatching(/would be one more than the 2 sheds that may run at once, by third .*, web /),
      hint: expect.stringContaining('limits.max_sheds'),
    }
    await expect(sheds.wake('other')).rejects.toMatchObject(full)
    await expect(sheds.start('other')).rejects.toMatchObject(full)
    await expect(sheds.useAgent('other')).rejects.toMatchObject(full)
    await expect(sheds.fork('web', { name: 'fork' })).rejects.toMatchObject(full)
    await expect(sheds.fork('web', { name: 'fork', count: 3 })).rejects.toMatchObject(full)
    const fromMemory = { image: undefined, from_snapshot: 'mem', memory_bytes: 64 * 2 ** 20, start: true }
    await expect(rooms.create('copy', fromMemory)).rejects.toMatchObject(full)
    expect((await readFile(layout.shed('web').upper)).equals(before)).toBe(true)
    const shown = (await sheds.list()).map(({ name, status }) => `${name} ${status}`)
    expect([shown, await readdir(layout.staging)]).toEqual([['other cold', 'third running', 'web running'], []])

    await sheds.stop('third', { timeout_ms: 1000 })
    expect((await sheds.wake('other')).status).toBe('running')
    for (const name of ['web', 'other', 'third']) await sheds.remove(name, { force: true })
  })
})

const able = needs({ tools: ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools] })

describe.runIf(able)('a host of a few sheds', () => {
  let cowshed: Cowshed

  beforeAll(async () => {
    cowshed = await openCowshed()
    await writeFile(cowshed.layout.config, '[limits]\nmax_memory = "400MB"\nmax_sheds = 2\n')
    const archive = join(cowshed.layout.root, '..', 'mini.tar')
    await writeFile(archive, busyboxArchive())
    await cowshed.ok('image', 'load', archive)
  }, 600_000)
  afterAll(async () => await cowshed[Symbol.asyncDispose]())

  const create = (name: string, memory: string, ...more: string[]) =>
    cowshed.run('create', name, '--image', 'mini:1', '--memory', memory, '--upper-size', '64MiB', ...more)
  const limits = async () => (await cowshed.json<{ server: ServerInfo }>('version')).server.limits

  test('refuses what can never run, and what cannot now, saying who is in the way; a daemon killed forgets nothing', async () => {
    expect(await create('x', '1GiB')).toMatchObject({ code: 2, stderr: expect.stringContaining('limits.max_memory') })
    expect(await create('x', '64MiB', '--cpus', '64')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/this host has \d/),
    })
    expect(await create('a', '192MiB')).toMatchObject({ code: 0 })

    const refused = await create('b', '192MiB')
    expect(refused.code).toBe(4)
    expect(refused.stderr).toContain('b needs 201.3 MB of memory, and 201.3 MB of 400.0 MB are taken, by a (201.3 MB)')
    expect(refused.stderr).toMatch(/hint: .*cowshed stop a; .*limits\.max_memory/)
    expect([await readdir(cowshed.layout.sheds), await cowshed.staging()]).toEqual([['a'], []])
    expect(await create('b', '192MiB', '--no-start')).toMatchObject({ code: 0 })

    await cowshed.killDaemon()
    expect(await cowshed.run('start', 'b')).toMatchObject({ code: 4, stderr: expect.stringContaining('by a (') })
    expect(await limits()).toEqual({ sheds: 1, max_sheds: 2, memory_bytes: 192 * 2 ** 20, max_memory_bytes: 4e8 })
    // What runs keeps its place, whatever it is put back to.
    await cowshed.ok('reset', '--force', 'a')

    await cowshed.ok('stop', '--timeout', '0s', 'a')
    expect(await limits()).toMatchObject({ sheds: 0, memory_bytes: 0 })
  }, 240_000)

  test('a shed has what it is set to from its next start on, and its disk what was on it', async () => {
    await cowshed.ok('start', 'a')
    const sh = async (script: string) => await cowshed.ok('exec', 'a', '--', 'sh', '-c', script)
    const memoryKiB = async () => Number(await sh("awk '/MemTotal/ {print $2}' /proc/meminfo"))
    await sh('echo kept > /root/file; sync')
    const before = await memoryKiB()
    expect(await cowshed.run('set', 'a', '--memory', '256MiB')).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/hint: stop it first: cowshed stop a$/m),
    })
    await cowshed.ok('stop', 'a')
    const all = ['--memory', '256MiB', '--upper-size', '9GiB', '--io-write', '20MB/s']
    expect(await cowshed.ok('set', 'a', ...all)).toBe(
      'a may have 1 CPU, 268.4 MB of memory, 9.7 GB of disk, writes 20.0 MB/s\n',
    )
    await cowshed.ok('start', 'a')
    expect(Number(await sh("df -P -m / | awk 'NR == 2 { print $2 }'"))).toBeGreaterThan(8 * 1024)
    expect(await sh('cat /root/file')).toBe('kept\n')
    expect(await memoryKiB()).toBeGreaterThan(before + 50 * 1024)
  })
})
