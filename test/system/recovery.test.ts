import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Shed } from '../../src/contract/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const able = needs({ tools: ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools] })

describe.runIf(able)('what dies is noticed, and what is left half done is settled', () => {
  let cowshed: Cowshed

  beforeAll(async () => {
    cowshed = await openCowshed()
    const archive = join(cowshed.layout.root, '../mini.tar')
    await writeFile(archive, busyboxArchive())
    await cowshed.ok('image', 'load', archive)
  })
  afterAll(async () => await cowshed[Symbol.asyncDispose]())

  const status = async (name: string) => await cowshed.json<Shed>('inspect', name)
  const create = async (name: string, ...more: string[]) =>
    await cowshed.ok('create', name, '--image', 'mini:1', ...more)
  const gone = async (name: string) => (await cowshed.run('inspect', name)).code === 3

  test('kill -9 of QEMU makes a crashed shed with its reason, which starts again with its disk', async () => {
    await create('lives')
    await cowshed.ok('exec', 'lives', '--', 'sh', '-c', 'echo kept > /root/file; sync')
    await cowshed.signalVmm('lives', 'SIGKILL')
    await until(async () => (await status('lives')).status === 'crashed', 'the crash is noticed')
    expect((await status('lives')).status_reason).toMatch(/SIGKILL|killed/)
    expect((await cowshed.run('exec', 'lives', '--', 'true')).stderr).toContain('cowshed start lives')
    await cowshed.ok('start', 'lives')
    expect(await cowshed.ok('exec', 'lives', '--', 'cat', '/root/file')).toBe('kept\n')
  })

  test('a VM outlives its daemon, and the next daemon adopts it with exec working', async () => {
    const before = await status('lives')
    for (const round of [1, 2]) {
      await cowshed.killDaemon()
      expect(await cowshed.vmms()).toEqual([before.pid])
      expect(await cowshed.ok('exec', 'lives', '--', 'echo', `round ${round}`)).toBe(`round ${round}\n`)
    }
    expect(await status('lives')).toMatchObject({ status: 'running', pid: before.pid })
  })

  test('a program that was running when the daemon died has lost its terminal, and the shed goes on', async () => {
    const child = cowshed.start('exec', 'lives', '--', 'sh', '-c', 'echo started; sleep 1000')
    const ended = once(child, 'exit')
    await once(child.stdout as Readable, 'data')
    await cowshed.killDaemon()
    await ended
    expect(child.exitCode).toBe(125)
    await until(async () => !(await cowshed.ok('exec', 'lives', '--', 'ps')).includes('sleep 1000'), 'it is gone')
  })

  test('a VM that dies while no daemon runs is found dead', async () => {
    const [pid] = await cowshed.vmms()
    await cowshed.killDaemon()
    expect(await cowshed.vmms()).toEqual([pid])
    process.kill(pid ?? Number.NaN, 'SIGKILL')
    await until(async () => (await cowshed.vmms()).length === 0, 'it is dead')
    expect(await status('lives')).toMatchObject({
      status: 'crashed',
      status_reason: expect.stringContaining('no daemon'),
    })
    await cowshed.ok('delete', '--force', 'lives')
  })

  /**
   * One shed through its life, each verb cut off by kill -9 of the daemon in its midst, so many milliseconds after the request: each goes on with what the one before
   * it left. Every step of each, delete among them, is in cut-verbs.test.ts, over a fake QEMU.
   */
  describe('kill -9 of the daemon', () => {
    const moment = { create: 1_500, stop: 150, start: 1_500 }

    test(`create, after ${moment.create} ms: there is a whole shed or none`, async () => {
      await killDuring(moment.create, 'POST', '/api/sheds', { name: 'half', image: 'mini:1' })
      if (!(await gone('half'))) {
        expect((await status('half')).status).toBe('running')
        expect(await cowshed.ok('exec', 'half', '--', 'cat', '/srv/kept')).toBe('kept\n')
      } else expect(await cowshed.vmms()).toEqual([])
      expect(await cowshed.ok('create', 'half', '--image', 'mini:1')).toMatch(/created|unchanged/)
      await settled()
    })

    test(`stop, after ${moment.stop} ms: it is finished or never began`, async () => {
      await cowshed.ok('exec', 'half', '--', 'sh', '-c', 'echo kept > /root/file; sync')
      await killDuring(moment.stop, 'POST', '/api/sheds/half/stop', {})
      await until(async () => (await status('half')).status !== 'stopping', 'the stop is finished')
      const after = await status('half')
      expect(['stopped', 'running']).toContain(after.status)
      if (after.status === 'running') expect(await cowshed.ok('exec', 'half', '--', 'cat', '/root/file')).toBe('kept\n')
      await settled()
    })

    test(`start, after ${moment.start} ms: the shed is stopped or runs, with its disk`, async () => {
      await cowshed.ok('stop', 'half')
      await killDuring(moment.start, 'POST', '/api/sheds/half/start')
      const after = await status('half')
      expect(['stopped', 'running']).toContain(after.status)
      expect(await cowshed.vmms()).toEqual(after.status === 'running' ? [after.pid] : [])
      await cowshed.ok('start', 'half')
      expect(await cowshed.ok('exec', 'half', '--', 'cat', '/srv/kept', '/root/file')).toBe('kept\nkept\n')
      await cowshed.ok('delete', '--force', 'half')
      await settled()
    })
  })

  test('a record that is damaged is shown as broken, and nothing that it may need is removed', async () => {
    await create('odd', '--no-start')
    const { record } = cowshed.layout.shed('odd')
    const text = await readFile(record, 'utf8')
    await writeFile(record, text.slice(0, 40))
    expect((await cowshed.ok('ls', '-a')).replace(/ +/g, ' ')).toContain('odd broken')
    const removal = await cowshed.run('image', 'rm', 'mini:1')
    expect([removal.code === 0, removal.stderr]).toEqual([false, expect.stringContaining(record)])
    const pruned = await cowshed.run('system', 'prune', '--force', '--until', '0s')
    expect(pruned.stdout).toContain('broken')
    expect(await cowshed.ok('image', 'ls', '-q')).toBe('mini:1\n')
    await writeFile(record, text)
    await cowshed.ok('delete', '--force', 'odd')
  })

  test('sockets and locks of sheds that are gone are gone', async () => {
    await cowshed.killDaemon()
    expect(await cowshed.json('ls')).toEqual({ sheds: [] })
    expect(await readdir(cowshed.layout.sheds)).toEqual([])
    expect(await readdir(cowshed.runDirectory)).toEqual([])
  })

  /** Sends a request to the daemon and kills it a moment later. */
  async function killDuring(moment: number, ...request: [method: string, path: string, body?: object]): Promise<void> {
    await cowshed.ok('ls')
    const ended = cowshed.request(...request).catch(() => undefined)
    await sleep(moment)
    await cowshed.killDaemon()
    await ended
  }

  /** Nothing half made is left, once a daemon has looked. */
  async function settled(): Promise<void> {
    await cowshed.ok('ls')
    expect(await cowshed.staging()).toEqual([])
  }
})
