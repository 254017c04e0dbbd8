import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ImageDetail, PruneReport, Shed, UsageReport } from '../../src/contract/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, launcher, openCowshed, until } from '../support/cowshed.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const able = needs({ tools: ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools] })

/** From an archive to two running sheds, as a user does it: each test goes on where the one before it ended. */
describe.runIf(able)('the main job', () => {
  let cowshed: Cowshed
  const scratch = (name: string) => join(cowshed.layout.root, '..', name)

  beforeAll(async () => {
    cowshed = await openCowshed({ processes: true })
    await writeFile(scratch('mini.tar'), busyboxArchive())
  })
  afterAll(async () => await cowshed[Symbol.asyncDispose]())

  test('an archive is loaded, and shown for what it is', async () => {
    const loaded = await cowshed.run('image', 'load', scratch('mini.tar'))
    expect(loaded.code, loaded.stderr).toBe(0)
    expect(loaded.stderr).toContain('started a daemon')
    const image = await cowshed.json<ImageDetail>('image', 'inspect', 'mini:1')
    expect(image).toMatchObject({ tags: ['mini:1'], layers: 3, used_by: [] })
    expect(await cowshed.ok('image', 'ls', '-q')).toBe('mini:1\n')
    expect(await cowshed.staging()).toEqual([])
  })

  test('two sheds are made of it, and run', async () => {
    await cowshed.ok('create', 'a', '--image', 'mini:1', '--env', 'FROM_SHED=yes', '--label', 'team=core')
    await cowshed.ok('create', 'b', '--image', 'mini:1', '--net', 'none', '--memory', '128MiB')
    const { sheds } = await cowshed.json<{ sheds: Shed[] }>('ls')
    expect(sheds.map(({ name, status }) => [name, status])).toEqual([
      ['a', 'running'],
      ['b', 'running'],
    ])
    expect(await cowshed.vmms()).toHaveLength(2)
  })

  test('create again is unchanged; with other settings it is a conflict', async () => {
    const again = await cowshed.run('create', 'b', '--image', 'mini:1', '--net', 'none', '--memory', '128MiB')
    expect([again.code, again.stdout + again.stderr]).toEqual([0, expect.stringContaining('unchanged')])
    const other = await cowshed.run('create', 'b', '--image', 'mini:1')
    expect(other.code).toBe(4)
    expect(other.stderr).toMatch(/another memory, network[\s\S]*hint: .*cowshed delete b/)
  })

  test('exec gives the guest its streams, its environment and its exit code', async () => {
    const script = 'echo "$FROM_IMAGE $FROM_SHED $(pwd) $(hostname)"; echo problem >&2; cat; exit 7'
    const { code, stdout, stderr } = await cowshed.runWith(
      { input: 'from stdin\n' },
      'exec',
      'a',
      '--',
      'sh',
      '-c',
      script,
    )
    expect({ code, stdout, stderr }).toEqual({
      code: 7,
      stdout: 'yes yes /srv a\nfrom stdin\n',
      stderr: 'problem\n',
    })
    expect((await cowshed.run('exec', 'a', '--', 'no-such-program')).code).toBe(127)
    expect((await cowshed.run('exec', 'a', '--', 'sh', '-c', 'kill -9 $$')).code).toBe(128 + 9)
    expect(await cowshed.ok('exec', 'a', '--user', 'nobody', '--', 'id', '-u')).toBe('65534\n')
    expect((await cowshed.run('exec', 'nobody-here', '--', 'true')).code).toBe(125)
  })

  test('a megabyte of every byte passes through stdin and stdout unharmed', async () => {
    const input = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => (i * 7 + (i >> 8)) & 0xff))
    const { code, stdout } = await cowshed.runWith({ input }, 'exec', 'a', '--', 'cat')
    expect(code).toBe(0)
    expect(Buffer.from(stdout, 'latin1').equals(input)).toBe(true)
  })

  test('a reader that takes its time gets everything', async () => {
    // A pipe takes 64 KiB at once; what comes then is less than cowshed waits for before it asks for more.
    const said = 'head -c 65536 /dev/zero; sleep 0.3; head -c 3000 /dev/zero'
    const program = [process.execPath, launcher, '--data', cowshed.layout.root, 'exec', 'a', '--', 'sh', '-c', said]
    const child = spawn('sh', ['-c', '"$@" | { sleep 3; wc -c; }', 'sh', ...program])
    expect(await text(child.stdout)).toBe('68536\n')
  })

  test('whiteouts were applied, and what one shed writes the other does not see', async () => {
    expect(await cowshed.ok('exec', 'a', '--', 'ls', '/srv', '/etc/old')).toBe('/etc/old:\nnew\n\n/srv:\nkept\n')
    await cowshed.ok('exec', 'a', '--', 'sh', '-c', 'echo mine > /srv/mine; rm /srv/kept; sync')
    expect(await cowshed.ok('exec', 'a', '--', 'ls', '/srv')).toBe('mine\n')
    expect(await cowshed.ok('exec', 'b', '--', 'ls', '/srv')).toBe('kept\n')
  })

  test('a shed without a network has only its loopback; the other reaches the gateway', async () => {
    expect(await cowshed.ok('exec', 'b', '--', 'ls', '/sys/class/net')).toBe('lo\n')
    expect(await cowshed.ok('exec', 'a', '--', 'ip', 'route')).toContain('default via 10.0.2.2')
    expect(await cowshed.ok('exec', 'a', '--', 'cat', '/etc/resolv.conf')).toContain('10.0.2.3')
  })

  test('files and directories are copied in and out', async () => {
    await mkdir(scratch('tree/sub'), { recursive: true })
    await writeFile(scratch('tree/run.sh'), '#!/bin/sh\necho copied\n', { mode: 0o755 })
    await writeFile(scratch('tree/sub/data'), Buffer.alloc(300_000, 0xab))
    await cowshed.ok('cp', scratch('tree'), 'a:/root/tree')
    expect(await cowshed.ok('exec', 'a', '--', '/root/tree/run.sh')).toBe('copied\n')
    await cowshed.ok('cp', 'a:/root/tree', scratch('back'))
    expect(await readdir(scratch('back'))).toEqual(['run.sh', 'sub'])
    expect(await readFile(scratch('back/sub/data'))).toEqual(Buffer.alloc(300_000, 0xab))
    const absent = await cowshed.run('cp', 'a:/no/such/file', scratch('x'))
    expect([absent.code, absent.stderr]).toEqual([3, expect.stringContaining('/no/such/file')])
  })

  test('a port of the guest is reached through a forward, also after a restart of the shed', async () => {
    await cowshed.ok(
      'exec',
      'a',
      '--',
      'sh',
      '-c',
      'mkdir -p /www; echo hello > /www/index.html; httpd -p 8000 -h /www',
    )
    const added = await cowshed.json<{ host_port: number }>('forward', 'a', '8000')
    const fetched = await fetch(`http://127.0.0.1:${added.host_port}/index.html`)
    expect(await fetched.text()).toBe('hello\n')
    await cowshed.ok('stop', 'a')
    await cowshed.ok('start', 'a')
    await cowshed.ok('exec', 'a', '--', 'httpd', '-p', '8000', '-h', '/www')
    const again = await fetch(`http://127.0.0.1:${added.host_port}/index.html`)
    expect(await again.text()).toBe('hello\n')
  })

  test('the console is shown, and stop and start keep the disk', async () => {
    expect(await cowshed.ok('exec', 'a', '--', 'cat', '/srv/mine')).toBe('mine\n')
    const logs = await cowshed.run('logs', 'a')
    expect(logs.code).toBe(0)
  })

  test('df says what is there and whose it is', async () => {
    const report = await cowshed.json<UsageReport>('system', 'df')
    expect(report.totals.sheds).toMatchObject({ stopped: 0, running: 2 })
    expect(report.images.map(({ docker_ref }) => docker_ref)).toEqual(['mini:1'])
    expect(report.orphans).toEqual([])
    const { images, sheds, caches, orphans, all } = report.totals
    const sum = images.physical_bytes + sheds.physical_bytes + caches.physical_bytes + orphans.physical_bytes
    expect(all.physical_bytes).toBe(sum)
    expect(await cowshed.ok('system', 'df')).toMatch(/^sheds \(0 stopped, 2 run\) +\d+ /m)
  })

  test('prune shows what it would do, asks, and keeps what runs', async () => {
    const plan = await cowshed.json<PruneReport>('system', 'prune', '--dry-run', '--until', '0s')
    expect(plan.items).toEqual([])
    expect(plan.skipped.map(({ name, reason }) => [name, reason])).toEqual([
      ['a', 'cannot prune running shed'],
      ['b', 'cannot prune running shed'],
      ['mini:1', 'used by a, b'],
    ])
    const refused = await cowshed.run('system', 'prune', '--json')
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('--force')])
    const tag = await cowshed.run('image', 'rm', 'mini:1')
    expect([tag.code, tag.stderr]).toEqual([4, expect.stringContaining('a, b')])
  })

  test('reset goes back to the image', async () => {
    await cowshed.ok('reset', '--force', 'a')
    expect(await cowshed.ok('exec', 'a', '--', 'ls', '/srv')).toBe('kept\n')
  })

  test('a guest that powers itself off has stopped, and its events tell the story', async () => {
    await cowshed.run('exec', 'b', '--', 'poweroff', '-f')
    await until(async () => (await cowshed.json<Shed>('inspect', 'b')).status === 'stopped', 'b is stopped')
    const events = await cowshed.ok('events', '--json')
    const types = events
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; subject: string })
    const ofB = types.filter((event) => event.subject === 'b').map((event) => event.type)
    expect(ofB).toEqual(expect.arrayContaining(['shed.created', 'shed.running', 'shed.stopped']))
  })

  test('a tag that moves does not change the shed that was made from it', async () => {
    await writeFile(scratch('next.tar'), busyboxArchive('next:1', [{ path: 'srv/version', content: 'next\n' }]))
    await cowshed.ok('image', 'load', scratch('next.tar'))
    const before = await cowshed.json<Shed>('inspect', 'a')
    await cowshed.ok('image', 'tag', 'mini:1', 'kept:1')
    await cowshed.ok('image', 'tag', 'next:1', 'mini:1')
    await cowshed.ok('stop', 'a')
    await cowshed.ok('start', 'a')
    expect(await cowshed.ok('exec', 'a', '--', 'ls', '/srv')).toBe('kept\n')
    expect((await cowshed.json<Shed>('inspect', 'a')).image).toEqual(before.image)
    await cowshed.ok('create', 'c', '--image', 'mini:1')
    expect(await cowshed.ok('exec', 'c', '--', 'cat', '/srv/version')).toBe('next\n')
    await cowshed.ok('delete', '--force', 'c')
    await cowshed.ok('image', 'tag', 'kept:1', 'mini:1')
    await cowshed.ok('image', 'rm', 'kept:1')
    await cowshed.ok('image', 'rm', 'next:1')
  })

  test('saved, the image is the same image', async () => {
    await cowshed.ok('image', 'save', 'mini:1', '-o', scratch('saved.tar'))
    await cowshed.ok('image', 'tag', 'mini:1', 'other:2')
    const [before, after] = [
      await cowshed.json<ImageDetail>('image', 'inspect', 'mini:1'),
      await cowshed.json<ImageDetail>('image', 'inspect', 'other:2'),
    ]
    expect(after.manifest_digest).toBe(before.manifest_digest)
    await cowshed.ok('image', 'rm', 'other:2')
    expect((await cowshed.run('image', 'load', scratch('saved.tar'))).code).toBe(0)
    expect((await cowshed.json<ImageDetail>('image', 'inspect', 'mini:1')).digest).toBe(before.digest)
  })

  test('a prune frees what it listed, and leaves a store with nothing in it', async () => {
    await cowshed.ok('stop', 'a')
    const plan = await cowshed.json<PruneReport>('system', 'prune', '--dry-run', '--until', '0s')
    expect(plan.items.map(({ kind, name }) => [kind, name])).toEqual([
      ['instance', 'a'],
      ['instance', 'b'],
      ['image', 'mini:1'],
    ])
    const done = await cowshed.json<PruneReport>('system', 'prune', '--force', '--until', '0s')
    expect(done.items).toEqual(plan.items)
    expect(await cowshed.json('ls')).toEqual({ sheds: [] })
    expect(await cowshed.json('image', 'ls')).toEqual({ images: [] })
    const report = await cowshed.json<UsageReport>('system', 'df')
    expect(report.totals.images.files + report.totals.sheds.files + report.totals.orphans.files).toBe(0)
    expect(await cowshed.staging()).toEqual([])
    expect(await cowshed.vmms()).toEqual([])
  })
})
