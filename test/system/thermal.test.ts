import { once } from 'node:events'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EventsReply, Forward, Shed } from '../../src/contract/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const able = needs({ tools: ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools] })

/** One shed through all its temperatures, and one that is kept hot beside it: each test goes on where the one before it ended. */
describe.runIf(able)('a shed that nobody uses', () => {
  let cowshed: Cowshed
  let begun: string

  beforeAll(async () => {
    cowshed = await openCowshed()
    const archive = join(cowshed.layout.root, '../mini.tar')
    await writeFile(archive, busyboxArchive())
    await writeFile(cowshed.layout.config, '[sheds]\nwarm_after = "1s"\n')
    await cowshed.ok('image', 'load', archive)
    const settings = ['--image', 'mini:1', '--memory', '128MiB', '--upper-size', '64MiB']
    await cowshed.ok('create', 'still', ...settings, '--keep-hot')
    begun = (await cowshed.json<Shed>('inspect', 'still')).changed_at
    await cowshed.ok('create', 'web', ...settings, '--warm-after', 'never')
  }, 600_000)
  afterAll(async () => await cowshed[Symbol.asyncDispose]())

  const sh = async (script: string) => await cowshed.ok('exec', 'web', '--', 'sh', '-c', script)
  const shed = async (name = 'web') => await cowshed.get<Shed>(`/api/sheds/${name}`)
  const becomes = async (status: Shed['status']) =>
    await until(async () => (await shed()).status === status, `web is ${status}`, 120_000)
  /** Its idleness begins anew before it is over, without anybody who uses it. On a host so busy that the guest comes to do nothing it is not, at first. */
  const isSeenAtWork = async () => {
    await sh('true')
    const { idle_since: first = '' } = await shed()
    for (;;) {
      const { status, idle_since: since = '' } = await shed()
      if (since > first || status !== 'running') return status === 'running'
    }
  }
  const marks = 'cat /dev/shm/mark /root/mark'
  const scratch = (name: string) => join(cowshed.layout.root, '..', name)

  test('has its vCPUs paused, and whatever uses it has it go on', async () => {
    await sh('mkdir -p /dev/shm; echo in RAM > /dev/shm/mark; echo on disk > /root/mark')
    const { pid } = await shed()
    await cowshed.ok('set', 'web', '--warm-after', 'default')
    await writeFile(scratch('new'), 'copied\n')
    for (const use of [
      async () => expect(await sh(marks)).toBe('in RAM\non disk\n'),
      async () => await cowshed.ok('cp', scratch('new'), 'web:/root/new'),
      async () => {
        await cowshed.ok('cp', 'web:/root/new', scratch('back'))
        expect(await readFile(scratch('back'), 'utf8')).toBe('copied\n')
      },
      async () =>
        expect((await cowshed.runWith({ input: `${marks}\n` }, 'shell', 'web')).stdout).toBe('in RAM\non disk\n'),
    ]) {
      await becomes('paused')
      expect((await shed()).status_reason).toBe('nobody used it for 1s')
      await use()
    }
    expect((await shed()).pid).toBe(pid)
  })

  test('whoever paused it, use has it go on; a person pauses it sooner than that', async () => {
    await cowshed.ok('set', 'web', '--warm-after', 'never')
    await sh('true')
    await cowshed.ok('pause', 'web')
    expect(await shed()).not.toHaveProperty('status_reason')
    expect(Math.abs(Number(await sh('date +%s')) - Date.now() / 1000)).toBeLessThan(30)
    expect((await shed()).status).toBe('running')
  })

  test('it is not idle while a client is attached, and is from then on', async () => {
    const client = cowshed.start('exec', 'web', '--', 'cat')
    client.stdin?.write('attached\n')
    await once(client.stdout as NodeJS.ReadableStream, 'data')
    await cowshed.ok('set', 'web', '--warm-after', '1s')
    expect(await shed()).not.toHaveProperty('idle_since')
    client.stdin?.end()
    await once(client, 'close')
    expect(await shed()).toHaveProperty('idle_since')
    await becomes('paused')
  })

  test('what a guest is at work at, with nobody attached, is not cut short', async () => {
    await sh('(while [ ! -e /root/enough ]; do :; done; echo done > /root/job) > /dev/null 2>&1 &')
    await cowshed.ok('set', 'web', '--warm-after', '4s')
    await until(isSeenAtWork, 'it is seen at work')
    await sh('touch /root/enough')
    await becomes('paused')
    await until(async () => (await sh('cat /root/job 2>&1 || true')) === 'done\n', 'it has gone on')
    await cowshed.ok('set', 'web', '--warm-after', '1s')
  })

  test('paused it outlives its daemon, and is woken by use of the next', async () => {
    await becomes('paused')
    await cowshed.killDaemon()
    expect((await cowshed.json<Shed>('inspect', 'web')).status).toBe('paused')
    expect(await sh(marks)).toBe('in RAM\non disk\n')
  })

  test('its memory goes to the disk and its VM ends; twenty that use it at once get one VM, in which all is as it was', async () => {
    await cowshed.ok('set', 'web', '--cold-after', '2s')
    await becomes('cold')
    expect(await cowshed.vmms()).toEqual([(await shed('still')).pid])
    expect((await shed()).status_reason).toBe('nobody used it for 2s')
    await cowshed.ok('set', 'web', '--warm-after', 'never', '--cold-after', 'never')
    const path = '/api/sheds/web/files/stat?path=/dev/shm/mark'
    const replies = await Promise.all(Array.from({ length: 20 }, () => cowshed.request('GET', path)))
    expect(new Set(replies)).toEqual(new Set([200]))
    const { pid, status } = await shed()
    expect([status, (await cowshed.vmms()).sort()]).toEqual(['running', [pid, (await shed('still')).pid].sort()])
    expect(await sh(marks)).toBe('in RAM\non disk\n')
  })

  test('asleep it outlives its daemon, and is woken by use of the next', async () => {
    await cowshed.ok('stop', '--keep-memory', 'web')
    await cowshed.killDaemon()
    expect((await cowshed.json<Shed>('inspect', 'web')).status).toBe('cold')
    expect(await sh(marks)).toBe('in RAM\non disk\n')
  })

  test('who connects to a forwarded port has it go on, from either sleep; it is not idle while anybody is connected', async () => {
    await sh('mkdir -p /www; echo hello > /www/index.html; httpd -p 8000 -h /www')
    const { host_port: port } = await cowshed.json<Forward>('forward', 'web', '8000')
    const get = async () => {
      const reply = await fetch(`http://127.0.0.1:${port}/index.html`, { headers: { connection: 'close' } })
      return await reply.text()
    }
    for (const sleep of [['pause'], ['stop', '--keep-memory']]) {
      await cowshed.ok(...sleep, 'web')
      expect(await Promise.all([get(), get(), get()])).toEqual(['hello\n', 'hello\n', 'hello\n'])
    }
    await cowshed.ok('stop', '--keep-memory', 'web')
    await cowshed.killDaemon()
    await expect(get()).rejects.toThrow()
    await cowshed.ok('ls')
    expect(await get()).toBe('hello\n')
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    await until(async () => (await shed()).idle_since === undefined, 'it is in use')
    socket.destroy()
    await until(async () => (await shed()).idle_since !== undefined, 'it is idle')
    await cowshed.ok('stop', '--keep-memory', 'web')
    await cowshed.ok('forward', 'web', '--rm', String(port))
    await expect(get()).rejects.toThrow()
    expect((await shed()).status).toBe('cold')
  })

  test('what cannot fall asleep runs on, which is told once', async () => {
    await sh('true')
    const { staging } = cowshed.layout
    const told = async () => {
      const { events } = await cowshed.get<EventsReply>('/api/events?limit=10000')
      return events.filter(({ type }) => type === 'shed.not_cooled')
    }
    await rename(staging, `${staging}.aside`)
    await writeFile(staging, 'no directory')
    try {
      await cowshed.ok('set', 'web', '--cold-after', '1s')
      await until(async () => (await told()).length > 0, 'it is told')
      await sh('true')
      // After this nothing is begun that needs what is put back.
      await cowshed.ok('set', 'web', '--cold-after', 'never')
    } finally {
      await rm(staging)
      await rename(`${staging}.aside`, staging)
    }
    await cowshed.ok('set', 'web', '--cold-after', '2s')
    await becomes('cold')
    expect(await told()).toHaveLength(1)
    expect(await sh(marks)).toBe('in RAM\non disk\n')
  })

  test('one that is kept hot has run through all of this', async () => {
    const { status, changed_at } = await shed('still')
    expect({ status, changed_at }).toEqual({ status: 'running', changed_at: begun })
    await cowshed.ok('set', 'still', '--no-keep-hot')
    await until(async () => (await shed('still')).status === 'paused', 'it is paused as any other')
  })
})
