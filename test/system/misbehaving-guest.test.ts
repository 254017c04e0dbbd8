import { once } from 'node:events'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Shed, UsageReport } from '../../src/contract/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed } from '../support/cowshed.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const able = needs({ tools: ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools] })
const mebibyte = 2 ** 20

/** Root in a guest may do what it likes; what is outside is not touched by it. */
describe.runIf(able)('a guest that misbehaves', () => {
  let cowshed: Cowshed

  beforeAll(async () => {
    cowshed = await openCowshed()
    const archive = join(cowshed.layout.root, '../mini.tar')
    // With an init the agent is not PID 1, and can be killed.
    const init = { path: 'sbin/init', type: 'symlink', linkTarget: '/bin/busybox' } as const
    await writeFile(archive, busyboxArchive('init:1', [{ path: 'sbin', type: 'directory', mode: 0o755 }, init]))
    await cowshed.ok('image', 'load', archive)
  }, 600_000)
  afterAll(async () => await cowshed[Symbol.asyncDispose]())

  const create = async (name: string, ...more: string[]) =>
    await cowshed.ok('create', name, '--image', 'init:1', ...more)
  const status = async (name: string) => await cowshed.json<Shed>('inspect', name)

  test('by killing its agent: what runs ends, what comes is refused at once, and it can be stopped', async () => {
    await create('headless')
    const running = cowshed.run('exec', 'headless', '--', 'sleep', '1000')
    const killed = await cowshed.run('exec', 'headless', '--', 'sh', '-c', 'kill -9 $PPID; sleep 1000')
    for (const { code, stderr } of [killed, await running, await cowshed.run('exec', 'headless', '--', 'true')]) {
      expect({ code, stderr }).toEqual({
        code: 125,
        stderr: expect.stringMatching(/the agent in the guest of headless has died[\s\S]*cowshed stop headless/),
      })
    }
    // A daemon that was not there when it died cannot know; it does not wait for ever.
    await cowshed.killDaemon()
    const late = await cowshed.run('exec', 'headless', '--', 'true')
    expect({ code: late.code, stderr: late.stderr }).toMatchObject({
      code: 125,
      stderr: expect.stringContaining('the guest did not answer within'),
    })
    expect((await status('headless')).status).toBe('running')

    await cowshed.ok('stop', 'headless', '--timeout', '2s')
    expect(await status('headless')).toMatchObject({
      status: 'stopped',
      status_reason: expect.stringMatching(/killed/),
    })
    expect(await cowshed.vmms()).toEqual([])
    await cowshed.ok('start', 'headless')
    expect(await cowshed.ok('exec', 'headless', '--', 'echo', 'again')).toBe('again\n')
    await cowshed.ok('delete', '--force', 'headless')
  })

  test('by filling its disk: it is told so inside, and its upper is no larger than it may be', async () => {
    await create('full', '--upper-size', '64MiB')
    const fill = await cowshed.run('exec', 'full', '--', 'dd', 'if=/dev/zero', 'of=/fill', 'bs=1M')
    expect([fill.code, fill.stderr]).toEqual([1, expect.stringContaining('No space left on device')])
    const { size, blocks } = await stat(cowshed.layout.shed('full').upper)
    expect(size).toBe(64 * mebibyte)
    expect(blocks * 512).toBeLessThanOrEqual(64 * mebibyte)
    const copied = await cowshed.run('cp', cowshed.layout.lock, 'full:/root/more')
    expect([copied.code, copied.stderr]).toEqual([expect.any(Number), expect.stringMatching(/[Nn]o space left/)])

    await cowshed.ok('stop', 'full')
    await cowshed.ok('start', 'full')
    await cowshed.ok('exec', 'full', '--', 'rm', '/fill')
    expect(await cowshed.ok('exec', 'full', '--', 'sh', '-c', 'echo room > /root/room; cat /root/room')).toBe('room\n')
    const report = await cowshed.json<UsageReport>('system', 'df')
    expect(report.totals.sheds.running).toBe(1)
    await cowshed.ok('delete', '--force', 'full')
  })

  test('by printing without end to a client that does not read: nobody else waits, and no memory is spent', async () => {
    await create('loud')
    const quiet = async () => expect(await cowshed.ok('exec', 'loud', '--', 'echo', 'heard')).toBe('heard\n')
    await quiet()
    const daemon = (await cowshed.daemonPid()) ?? 0
    const before = await memoryOf(daemon)
    const flood = cowshed.start('exec', 'loud', '--', 'sh', '-c', 'yes & yes >&2')
    try {
      await once(flood.stdout as Readable, 'readable')
      for (let i = 0; i < 15; i++) await quiet()
      expect((await memoryOf(daemon)) - before).toBeLessThan(96 * mebibyte)
      expect(await memoryOf(flood.pid ?? 0)).toBeLessThan(256 * mebibyte)
    } finally {
      flood.kill('SIGKILL')
    }
    await once(flood, 'close')
    await quiet()
    await cowshed.ok('delete', '--force', 'loud')
  })
})

/** What a process has in memory, in bytes. */
async function memoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}
