import { randomBytes } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Secret, Shed } from '../../src/contract/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { fsckExt4 } from '../support/ext4-mount.ts'
import { buildLayer } from '../support/image-builder.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const tools = ['qemu-system-x86_64', 'mke2fs', 'e2fsck', ...busyboxImageTools, ...kernelTools]

/** Guests under emulation on a busy machine take their time. */
const patience = 240_000

/** Notes what is there when it begins, then is busybox's own. */
const init = `#!/bin/sh
{ cat /etc/tls/key.pem; grep /srv/data /proc/mounts; } > /run/seen-by-init
exec /bin/busybox init
`

/** Values that nobody but a guest sees: each test goes on where the one before it ended. */
describe.runIf(needs({ tools }))('a secret', { timeout: patience }, () => {
  const apiKey = `k-${randomBytes(16).toString('hex')}`
  const pem = `p-${randomBytes(16).toString('hex')}\n`
  let cowshed: Cowshed

  beforeAll(async () => {
    cowshed = await openCowshed()
    const withInit = [buildLayer([{ path: 'sbin/init', content: init, mode: 0o755 }])]
    for (const [ref, above] of [
      ['mini:1', []],
      ['init:1', withInit],
    ] as const) {
      const archive = join(cowshed.layout.root, '../image.tar')
      await writeFile(archive, busyboxArchive(ref, [], above))
      await cowshed.ok('image', 'load', archive)
    }
  }, 600_000)
  afterAll(async () => await cowshed[Symbol.asyncDispose]())

  const create = async (name: string, ...more: string[]) =>
    await cowshed.run('create', name, '--image', 'mini:1', '--upper-size', '64MiB', '--net', 'none', ...more)
  const sh = async (name: string, script: string) => await cowshed.ok('exec', name, '--', 'sh', '-c', script)
  const set = async (name: string, input: string | Buffer) => await cowshed.runWith({ input }, 'secret', 'set', name)
  const secrets = async () => (await cowshed.json<{ secrets: Secret[] }>('secret', 'ls')).secrets

  test('is set from stdin or a file, and listed without its value', async () => {
    expect(await set('api-key', `${apiKey}\n`)).toMatchObject({ code: 0, stdout: 'api-key created\n' })
    const file = join(cowshed.layout.root, '../pem')
    await writeFile(file, pem)
    await cowshed.ok('secret', 'set', 'cert', '--file', file)
    expect((await cowshed.run('secret', 'set', 'cert', pem)).code).toBe(2)
    expect((await secrets()).map(({ name, given_to }) => [name, given_to])).toEqual([
      ['api-key', []],
      ['cert', []],
    ])
  })

  test('that is not there, or is no text and is to be a variable, is refused before anything is made', async () => {
    expect(await create('web', '--secret', 'nothing')).toMatchObject({ code: 3 })
    await set('binary', Buffer.from([0, 0xff]))
    expect((await create('web', '--secret', 'binary')).stderr).toContain('--secret binary:/path')
    await cowshed.ok('secret', 'rm', '--force', 'binary')
    expect(await cowshed.ok('ls', '-q')).toBe('')
  })

  test('is a variable of what runs in the shed, or a file in its memory, there before its init begins', async () => {
    await cowshed.ok('volume', 'create', 'data', '--size', '64MiB')
    const given = ['--secret', 'api-key', '--secret', 'api-key:TOKEN', '--secret', 'cert:/etc/tls/key.pem']
    const made = await cowshed.run(
      ...['create', 'web', '--image', 'init:1', '--upper-size', '64MiB', ...given, '--volume', 'data:/srv/data'],
    )
    expect(made).toMatchObject({ code: 0 })
    expect(await sh('web', 'echo $API_KEY $TOKEN')).toBe(`${apiKey} ${apiKey}\n`)
    await until(async () => (await sh('web', 'cat /proc/1/comm')) === 'busybox\n', 'its init has noted what is there')
    expect(await cowshed.ok('exec', 'web', '--env', 'TOKEN=mine', '--', 'sh', '-c', 'echo $TOKEN')).toBe('mine\n')
    expect(await sh('web', 'cat /etc/tls/key.pem; ls -lL /etc/tls/key.pem; df /run/cowshed | tail -1')).toMatch(
      new RegExp(`^${pem}-r-------- +1 root +root .*\\n(tmpfs|none) `),
    )
    expect(await sh('web', 'cat /run/seen-by-init')).toMatch(new RegExp(`^${pem}/dev/vd. /srv/data ext4`))
    expect((await secrets()).map(({ given_to }) => given_to)).toEqual([
      [
        { shed: 'web', env: 'API_KEY' },
        { shed: 'web', env: 'TOKEN' },
      ],
      [{ shed: 'web', path: '/etc/tls/key.pem' }],
    ])
  })

  test('is in no file of the data directory, no log, no event, no answer and no argument of a process', async () => {
    const { pid } = await cowshed.json<Shed>('inspect', 'web')
    const daemon = await cowshed.daemonPid()
    const said = [
      await cowshed.ok('inspect', 'web'),
      await cowshed.ok('inspect', 'web', '--json'),
      await cowshed.ok('events', '--json'),
      await cowshed.ok('logs', 'web'),
      await cowshed.ok('secret', 'ls', '--json'),
      ...(await Promise.all([pid, daemon].map((each) => readFile(`/proc/${each}/cmdline`, 'latin1')))),
      ...(await Promise.all([pid, daemon].map((each) => readFile(`/proc/${each}/environ`, 'latin1')))),
    ]
    for (const text of said) for (const value of forms(apiKey, pem)) expect(text.includes(value)).toBe(false)
    expect((await readdir(cowshed.layout.secrets)).sort()).toEqual(['api-key.json', 'cert.json', 'key'])
    expect(await filesWith(cowshed.layout.root, forms(apiKey))).toEqual([])
    expect(await filesWith(cowshed.layout.root, forms(pem))).toEqual([])
  })

  test('is in a copy of the memory of its shed when that is said, and given to forks alone', async () => {
    const asked = ['snapshot', 'create', 'web', 'mem', '--memory']
    for (const args of [asked, ['fork', 'web', 'copy']]) {
      const refused = await cowshed.run(...args)
      expect([refused.code, refused.stderr], args.join(' ')).toEqual([2, expect.stringContaining('--with-secrets')])
    }
    await cowshed.ok(...asked, '--with-secrets')
    await cowshed.ok('create', 'copy', '--from-snapshot', 'mem')
    await cowshed.ok('fork', 'web', 'fork', '--with-secrets')
    const seen = 'echo $API_KEY; cat /etc/tls/key.pem'
    expect(await sh('fork', seen)).toBe(`${apiKey}\n${pem}`)
    // What was in the memory; a variable never was.
    expect(await sh('copy', seen)).toBe(`\n${pem}`)
    const both = ['api-key', 'cert']
    expect(await cowshed.json<Shed>('inspect', 'copy')).toMatchObject({ secrets: [], secrets_in_memory: both })
    expect(await cowshed.json('snapshot', 'info', 'mem')).toMatchObject({ secrets_in_memory: both })
    expect(await cowshed.json<Shed>('inspect', 'fork')).not.toHaveProperty('secrets_in_memory')
    // Nobody has given it any, and it has them all the same.
    expect((await cowshed.run('fork', 'copy', 'again')).stderr).toContain('in the memory of copy: api-key, cert')
    expect((await secrets()).map(({ given_to }) => given_to.map(({ shed }) => shed))).toEqual([
      ['fork', 'fork', 'web', 'web'],
      ['fork', 'web'],
    ])
    await cowshed.ok('delete', '--force', 'copy', 'fork')
    await cowshed.ok('volume', 'rm', '--force', 'copy-data', 'fork-data')
    await cowshed.ok('snapshot', 'rm', '--force', 'mem')
    expect(await filesWith(cowshed.layout.root, forms(apiKey, pem))).toEqual([])
  })

  test('that is set again is another one for what runs next, and as a file from the next start on', async () => {
    await set('api-key', 'second')
    await set('cert', 'third')
    expect(await sh('web', 'echo $TOKEN; cat /etc/tls/key.pem')).toBe(`second\n${pem}`)
    await cowshed.ok('stop', 'web')
    await fsckExt4(cowshed.layout.volume('data').data)
    await cowshed.ok('start', 'web')
    expect(await sh('web', 'cat /etc/tls/key.pem')).toBe('third')
  })

  test('is removed when no shed is given it, or by force, and then no start goes without it', async () => {
    const refused = await cowshed.run('secret', 'rm', 'cert')
    expect(refused.code).toBe(2)
    expect(await cowshed.request('DELETE', '/api/secrets/cert')).toBe(409)
    await cowshed.ok('secret', 'take', 'web', 'cert')
    await cowshed.ok('secret', 'rm', '--force', 'cert')
    await cowshed.ok('secret', 'give', 'web', 'api-key:/etc/api-key')
    await cowshed.ok('secret', 'rm', '--force', 'api-key')
    await cowshed.ok('stop', 'web', '--timeout', '0s')
    const started = await cowshed.run('start', 'web')
    expect(started.code).toBe(3)
    expect(started.stderr).toContain('there is no secret api-key, which web is given')
    expect(started.stderr).toContain('cowshed secret take web api-key')
    expect(await cowshed.vmms()).toEqual([])
  })
})

/** As they are, and as somebody might have written them down. */
function forms(...values: readonly string[]): string[] {
  return values.flatMap((value) => {
    const bytes = Buffer.from(value.trimEnd())
    return [bytes.toString(), bytes.toString('base64'), bytes.toString('hex')]
  })
}

/** Files that have any of these in them. Of disks that a guest writes to, too. */
async function filesWith(root: string, values: readonly string[]): Promise<string[]> {
  const names = await readdir(root, { recursive: true })
  const found = await Promise.all(
    names.map(async (name) => {
      const path = join(root, name)
      if (!(await stat(path).catch(() => undefined))?.isFile()) return []
      const bytes = await readFile(path)
      return values.some((value) => bytes.includes(value)) ? [name] : []
    }),
  )
  return found.flat()
}
