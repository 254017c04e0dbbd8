import { lstat, mkdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const able = needs({ tools: ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools] })

/** What only a real guest can show of the commands. */
describe.runIf(able)('commands with a real shed', () => {
  let cowshed: Cowshed
  const scratch = (name: string) => join(cowshed.layout.root, '..', name)

  beforeAll(async () => {
    cowshed = await openCowshed({ processes: true })
    await writeFile(scratch('mini.tar'), busyboxArchive())
    await cowshed.ok('image', 'load', scratch('mini.tar'))
    await cowshed.ok('create', 'web', '--image', 'mini:1')
  })
  afterAll(async () => await cowshed[Symbol.asyncDispose]())

  test('a shell takes its commands from a pipe, and ends with it', async () => {
    const { code, stdout } = await cowshed.runWith({ input: 'echo "sum: $((40 + 2))"; (exit 3)\n' }, 'shell', 'web')
    expect([code, stdout]).toEqual([3, expect.stringContaining('sum: 42')])
  })

  test('a directory goes in, goes in again over itself, and comes out the same', async () => {
    const tree = scratch('tree')
    await mkdir(join(tree, 'deep'), { recursive: true })
    await writeFile(join(tree, 'deep/file'), 'content', { mode: 0o640 })
    await symlink('deep/file', join(tree, 'link'))
    await symlink('/nowhere', join(tree, 'dangling'))
    for (const _ of ['new', 'over itself']) await cowshed.ok('cp', tree, 'web:/root')
    await cowshed.ok('cp', 'web:/root/tree', scratch('back'))
    expect(await readFile(join(scratch('back'), 'link'), 'utf8')).toBe('content')
    expect(await readlink(join(scratch('back'), 'dangling'))).toBe('/nowhere')
    expect((await lstat(join(scratch('back'), 'deep/file'))).mode & 0o777).toBe(0o640)
  })

  test('a copy makes no directory that was not there, on either side', async () => {
    const { code, stderr } = await cowshed.run('cp', 'web:/etc/hostname', `${scratch('missing')}/`)
    expect([code, stderr]).toEqual([3, expect.stringContaining('there is no directory')])
    const into = await cowshed.run('cp', scratch('mini.tar'), 'web:/missing/mini.tar')
    expect([into.code, into.stderr]).toEqual([3, expect.stringContaining('exec web -- mkdir -p /missing')])
  })

  test('stdin becomes a file, and a file stdout', async () => {
    await cowshed.runWith({ input: 'piped' }, 'cp', '-', 'web:/tmp/piped')
    expect(await cowshed.ok('cp', 'web:/tmp/piped', '-')).toBe('piped')
  })

  test('a program whose client is killed is hung up on', async () => {
    const client = cowshed.start('exec', 'web', '--', 'sleep', '4321')
    const sleeping = async () => (await cowshed.ok('exec', 'web', '--', 'ps')).includes('sleep 4321')
    await until(sleeping, 'the program runs')
    client.kill('SIGKILL')
    await until(async () => !(await sleeping()), 'the program is gone')
  })

  test('logs are followed through a restart', async () => {
    const follower = cowshed.start('logs', '-f', 'web')
    let seen = ''
    follower.stdout?.on('data', (chunk: Buffer) => {
      seen += chunk.toString('latin1')
    })
    const say = (word: string) => cowshed.ok('exec', 'web', '--', 'sh', '-c', `echo ${word} > /dev/console`)
    await say('before')
    await until(async () => seen.includes('before'), 'the first word')
    await cowshed.ok('stop', 'web')
    await cowshed.ok('start', 'web')
    await say('after')
    await until(async () => seen.includes('after'), 'the second word')
    follower.kill()
    expect(seen.split('before')).toHaveLength(2)
  })
})
