import { readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Forward, PruneReport, Shed } from '../../src/contract/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { toolsFor } from '../support/filesystems.ts'
import { freePort } from '../support/free-port.ts'
import { kernelTools } from '../support/kernel.ts'
import { type Mounted, mountFresh } from '../support/mount-filesystem.ts'
import { needs } from '../support/needs.ts'

const tools = ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools]

describe.runIf(needs({ tools }))('what happens to a shed at a bad moment', () => {
  let cowshed: Cowshed

  beforeAll(async () => {
    cowshed = await openCowshed()
    await loadMini(cowshed)
  })
  afterAll(async () => await cowshed[Symbol.asyncDispose]())

  const shed = async (name: string) => await cowshed.json<Shed>('inspect', name)
  const create = async (name: string, ...more: string[]) =>
    await cowshed.ok('create', name, '--image', 'mini:1', ...more)
  const text = async (name: string) => await readFile(cowshed.layout.shed(name).record, 'utf8')

  test('SIGTERM while a create boots takes the create back; nothing is left to settle', async () => {
    await cowshed.ok('ls')
    const created = cowshed.run('create', 'half', '--image', 'mini:1')
    await until(async () => (await cowshed.vmms()).length === 1, 'its VM has started')
    await terminateDaemon()
    expect((await created).code).not.toBe(0)
    expect(await cowshed.vmms()).toEqual([])
    expect(await cowshed.staging()).toEqual([])
    expect(await cowshed.json('ls')).toEqual({ sheds: [] })
  })

  test('SIGTERM while a guest that hangs is being stopped: the next daemon finishes the stop', async () => {
    await create('hung')
    const pid = await cowshed.signalVmm('hung', 'SIGSTOP')
    const stopped = cowshed.run('stop', 'hung', '--timeout', '10m')
    await until(async () => (await text('hung')).includes('"stopping"'), 'the stop has begun')
    await terminateDaemon()
    await stopped
    expect(await cowshed.vmms()).toEqual([pid])
    process.kill(pid, 'SIGCONT')
    await until(async () => (await shed('hung')).status === 'stopped', 'the stop is finished')
    expect(await cowshed.vmms()).toEqual([])
  })

  test('a start right after a crash starts, and does not take the dead VM for a running one', async () => {
    await cowshed.ok('start', 'hung')
    const pid = await cowshed.signalVmm('hung', 'SIGKILL')
    await cowshed.ok('start', 'hung')
    expect(await cowshed.ok('exec', 'hung', '--', 'cat', '/srv/kept')).toBe('kept\n')
    expect((await shed('hung')).pid).not.toBe(pid)
  })

  test('forwards of an adopted VM become those that are recorded, whatever a killed daemon had begun', async () => {
    await cowshed.ok('exec', 'hung', '--', 'sh', '-c', 'mkdir -p /www; echo hi > /www/x; httpd -p 8000 -h /www')
    const { host_port: port } = await cowshed.json<Forward>('forward', 'hung', '8000')
    expect(await accepts(port)).toBe(true)
    await cowshed.killDaemon()
    const other = await freePort()
    const record = JSON.parse(await text('hung')) as Shed
    const forwards = [{ guest_port: 8000, host_port: other }]
    await writeFile(cowshed.layout.shed('hung').record, JSON.stringify({ ...record, forwards }))
    await cowshed.ok('ls')
    expect([await accepts(port), await accepts(other)]).toEqual([false, true])
    expect(await (await fetch(`http://127.0.0.1:${other}/x`)).text()).toBe('hi\n')
  })

  test('the console is cut while the guest writes to it, and no line of its end is lost', async () => {
    const { console } = cowshed.layout.shed('hung')
    await cowshed.ok('exec', 'hung', '--', 'sh', '-c', 'seq 1 20000 | sed "s/^/line /" > /dev/console &')
    await until(async () => (await readFile(console, 'latin1')).includes('line 2000\r'), 'it writes')
    const cut = await cowshed.json<PruneReport>('system', 'prune', '--logs', '--log-tail-bytes', '1000', '--force')
    expect(cut.items).toMatchObject([{ kind: 'log', name: 'hung', action: 'truncate' }])
    await until(async () => (await readFile(console, 'latin1')).includes('line 20000\r'), 'it has written all', 120_000)
    const end = await readFile(console, 'latin1')
    expect(end).not.toContain('\0')
    const numbers = [...end.matchAll(/^line (\d+)\r$/gm)].map(([, number]) => Number(number))
    expect(numbers.filter((number, at) => at > 0 && number !== (numbers[at - 1] ?? 0) + 1)).toEqual([])
    expect(numbers.at(-1)).toBe(20000)
  })

  test('a shed that was started after the plan of a prune stays, with its image', async () => {
    await create('idle', '--no-start')
    const plan = await cowshed.json<PruneReport>('system', 'prune', '--dry-run', '--until', '0s')
    expect(plan.items.map(({ name }) => name)).toEqual(['idle'])
    await cowshed.ok('start', 'idle')
    const path = `/api/system/prune?dry_run=false&plan_id=${plan.plan_id}`
    expect(await cowshed.request('POST', path)).toBe(200)
    expect((await shed('idle')).status).toBe('running')
  })

  test('a start at the same time as a prune: the shed runs, or there is none any more', async () => {
    for (const [first, second] of [
      ['start', 'prune'],
      ['prune', 'start'],
    ] as const) {
      await create('raced', '--no-start')
      const race = {
        start: () => cowshed.request('POST', '/api/sheds/raced/start'),
        prune: () => cowshed.request('POST', '/api/system/prune?dry_run=false&until=0s&scope=instances'),
      }
      const both = [race[first](), race[second]()]
      const status = { [first]: await both[0], [second]: await both[1] }
      expect(status.prune).toBe(200)
      const left = (await cowshed.json<{ sheds: Shed[] }>('ls')).sheds.filter(({ name }) => name === 'raced')
      expect([status.start, left.map((each) => each.status)]).toEqual(
        left.length === 0 ? [404, []] : [200, ['running']],
      )
      if (left.length > 0) expect(await cowshed.ok('exec', 'raced', '--', 'cat', '/srv/kept')).toBe('kept\n')
      await cowshed.run('delete', '--force', 'raced')
      expect(await cowshed.staging()).toEqual([])
    }
  })

  test('a record that is damaged while its VM runs: the VM runs on, and goes with the shed by force', async () => {
    const { record } = cowshed.layout.shed('idle')
    const whole = await text('idle')
    await writeFile(record, whole.slice(0, 50))
    const refused = await cowshed.run('exec', 'idle', '--', 'true')
    expect(refused.stderr).toContain('cowshed delete --force idle')
    await writeFile(record, whole)
    expect(await cowshed.ok('exec', 'idle', '--', 'echo', 'alive')).toBe('alive\n')
    await writeFile(record, whole.slice(0, 50))
    const { pid } = await shed('hung')
    await cowshed.ok('delete', '--force', 'idle')
    expect(await cowshed.vmms()).toEqual([pid])
  })

  test.each([5, 150])(
    'reset, and kill -9 after %d ms: it has its old disk or the new one, and starts',
    async (moment) => {
      await cowshed.ok('start', 'hung')
      await cowshed.ok('exec', 'hung', '--', 'sh', '-c', 'echo kept > /root/file; sync')
      const ended = cowshed.request('POST', '/api/sheds/hung/reset').catch(() => undefined)
      await sleep(moment)
      await cowshed.killDaemon()
      await ended
      await until(async () => ['running', 'stopped'].includes((await shed('hung')).status), 'it is at rest')
      expect(await cowshed.staging()).toEqual([])
      await cowshed.ok('start', 'hung')
      const file = await cowshed.run('exec', 'hung', '--', 'cat', '/root/file')
      expect([file.code, file.stdout]).toEqual(file.code === 0 ? [0, 'kept\n'] : [1, ''])
      expect(await cowshed.ok('exec', 'hung', '--', 'cat', '/srv/kept')).toBe('kept\n')
    },
  )

  test.each([2, 60])('prune, and kill -9 after %d ms: what is left is whole', async (moment) => {
    for (const name of ['p', 'q', 'r']) await create(name, '--no-start')
    const path = '/api/system/prune?dry_run=false&until=0s'
    const ended = cowshed.request('POST', path).catch(() => undefined)
    await sleep(moment)
    await cowshed.killDaemon()
    await ended
    const { sheds } = await cowshed.json<{ sheds: Shed[] }>('ls', '-a')
    expect(new Set(sheds.map(({ status }) => status))).toEqual(
      new Set(['running', ...(sheds.length > 1 ? ['stopped'] : [])]),
    )
    expect(await cowshed.staging()).toEqual([])
    await cowshed.ok('system', 'prune', '--force', '--until', '0s')
    expect((await cowshed.json<{ sheds: Shed[] }>('ls', '-a')).sheds.map(({ name }) => name)).toEqual(['hung'])
  })

  async function terminateDaemon(): Promise<void> {
    process.kill((await cowshed.daemonPid()) ?? Number.NaN, 'SIGTERM')
    await until(async () => (await cowshed.daemonPid()) === undefined, 'the daemon has ended')
  }
})

describe.runIf(needs({ root: true, tools: [...tools, ...toolsFor('ext4')] }))('a shed on a disk that is full', () => {
  let mounted: Mounted
  let cowshed: Cowshed

  beforeAll(async () => {
    mounted = await mountFresh('ext4', 256 << 20)
    cowshed = await openCowshed({ data: join(mounted.directory, 'd') })
    await loadMini(cowshed)
  })
  afterAll(async () => {
    await cowshed[Symbol.asyncDispose]()
    await mounted[Symbol.asyncDispose]()
  })

  test('is stopped, shown as it is, and deleted', async () => {
    await cowshed.ok('create', 'a', '--image', 'mini:1')
    await cowshed.ok('create', 'b', '--image', 'mini:1')
    const filler = join(mounted.directory, 'filler')
    const status = async (name: string) => (await cowshed.json<Shed>('inspect', name)).status
    await fillUp(filler)
    await cowshed.signalVmm('a', 'SIGKILL')
    await until(async () => (await status('a')) === 'crashed', 'the crash is seen')
    await cowshed.ok('stop', 'b')
    expect(await status('b')).toBe('stopped')
    expect((await cowshed.run('start', 'b')).code).toBe(5)
    // Space for the start, but none any more for the record that it has succeeded: no VM may run that no record tells of.
    await truncate(filler, (await stat(filler)).size - (2 << 20))
    const started = cowshed.run('start', 'b')
    await until(async () => (await cowshed.vmms()).length === 1, 'its VM has started')
    await fillUp(filler)
    expect((await started).code).toBe(5)
    expect([await cowshed.vmms(), await status('b')]).toEqual([[], 'stopped'])
    await cowshed.killDaemon()
    expect([await status('a'), await status('b')]).toEqual(['crashed', 'stopped'])
    await cowshed.ok('delete', '--force', 'a', 'b')
    expect(await cowshed.json('ls', '-a')).toEqual({ sheds: [] })
    expect(await cowshed.vmms()).toEqual([])
  })
})

async function loadMini(cowshed: Cowshed): Promise<void> {
  const archive = `${cowshed.layout.root}-mini.tar`
  await writeFile(archive, busyboxArchive())
  await cowshed.ok('image', 'load', archive)
}

/** Writes until not a block is left: in pieces that get smaller. */
async function fillUp(path: string): Promise<void> {
  for (const bytes of [4 << 20, 64 << 10, 4096, 512]) {
    try {
      for (;;) await writeFile(path, Buffer.alloc(bytes, 1), { flag: 'a' })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('close', () => socket.destroy())
    setTimeout(() => socket.destroy(), 500).unref()
  })
}
