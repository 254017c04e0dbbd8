import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../../test/support/free-port.ts'
import { buildImage, buildLayer, ociArchive } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { testAuthority } from '../../../test/support/test-authority.ts'
import { type Fleet, type FleetDaemon, openFleet } from './fleet.testkit.ts'

describe.runIf(needs({ tools: ['openssl'] }))('a server elsewhere', () => {
  let fleet: Fleet
  let alpha: FleetDaemon
  beforeAll(async () => {
    fleet = await openFleet()
    alpha = await fleet.start('alpha')
  })
  afterAll(async () => await fleet[Symbol.asyncDispose]())

  const add = (name: string, url: string, token: string, ...options: string[]) =>
    fleet.run(['server', 'add', name, url, '--token-stdin', ...options], { input: `${token}\n` })
  const addAlpha = (...options: string[]) =>
    add('alpha', alpha.url, alpha.token, '--ca', fleet.authority.ca, ...options)
  const settings = () => join(fleet.home, '.config/cowshed')

  test('is added with its token, which nobody else can read and nothing shows, and talked to', async () => {
    expect(await addAlpha()).toMatchObject({ code: 0, stdout: expect.stringMatching(/^alpha added: cowshed \S+\n$/) })
    const file = join(settings(), 'servers/alpha.json')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await stat(settings())).mode & 0o777).toBe(0o700)
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ url: alpha.url, token: alpha.token })
    const shown = await Promise.all(
      [
        ['server', 'ls'],
        ['server', 'ls', '--json'],
        ['server', 'ls', '-q'],
      ].map((words) => fleet.run(words)),
    )
    expect(shown.map(({ stdout }) => stdout).join('')).not.toContain(alpha.token.slice(-43))
    expect(JSON.parse(shown[1]?.stdout ?? '')).toEqual({
      servers: [{ name: 'alpha', url: alpha.url, trust: 'its own CA', default: false }],
    })
    expect(await fleet.run(['-s', 'alpha', 'ls', '--json'])).toEqual({
      code: 0,
      stdout: '{\n  "sheds": []\n}\n',
      stderr: '',
    })
    expect((await fleet.run(['version', '--server', 'alpha'])).stdout).toContain(`pid ${process.pid}`)
    expect((await alpha.run('token', 'ls')).stdout).toMatch(/first +[0-9a-f]{12} +all +just now +just now/)
  })

  test('a WebSocket, a stream of events and an archive go over TLS as well', async () => {
    await addAlpha()
    expect(await fleet.run(['-s', 'alpha', 'exec', 'web', '--', 'true'])).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/there is no shed web\nhint: .*cowshed -s alpha ls/),
    })
    const archive = join(fleet.home, 'tiny.tar')
    await writeFile(
      archive,
      ociArchive([{ image: buildImage({ layers: [buildLayer([{ path: 'a', content: 'b' }])] }), ref: 'tiny:1' }]),
    )
    expect(await fleet.run(['-s', 'alpha', 'image', 'load', archive])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('tiny:1'),
    })
    const saved = join(fleet.home, 'saved.tar')
    expect(await fleet.run(['-s', 'alpha', 'image', 'save', 'tiny:1', '-o', saved])).toMatchObject({ code: 0 })
    expect(await fleet.run(['-s', 'alpha', 'image', 'save', 'tiny:1', '-o', saved])).toMatchObject({ code: 4 })
    expect((await stat(saved)).size).toBeGreaterThan(1000)
    expect(await fleet.run(['-s', 'alpha', 'image', 'build', '.'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('alpha reads its own files'),
    })

    const made = await alpha.run('token', 'create', '--name', 'follows', '--json')
    const { token } = JSON.parse(made.stdout) as { token: string }
    const following = fleet.run(['events', '-f'], { env: { COWSHED_SERVER: 'alpha', COWSHED_TOKEN: token } })
    await expect
      .poll(async () => (await alpha.run('token', 'ls')).stdout)
      .toMatch(/follows +\S+ +all +just now +just now/)
    await alpha.run('token', 'revoke', 'follows')
    expect((await following).stdout).toMatch(/image\.loaded.*\n/)
  })

  test.each([
    [
      'a token that it does not know',
      async () => add('bad', alpha.url, `cowshed_${'0'.repeat(12)}_${'x'.repeat(43)}`, '--ca', fleet.authority.ca),
      1,
      /bad does not know the token.*\nhint: .*cowshed token create/s,
    ],
    [
      'no authority that vouches for it',
      async () => add('bad', alpha.url, alpha.token),
      7,
      /nobody who is trusted here vouches for the certificate.*\nhint: .*--ca FILE/s,
    ],
    [
      'another authority',
      async () => {
        await using other = await testAuthority()
        return await add('bad', alpha.url, alpha.token, '--ca', other.ca)
      },
      7,
      /not from the authority that was given.*--ca FILE/s,
    ],
    [
      'an address where nobody listens',
      async () => add('bad', 'https://127.0.0.1:1', alpha.token),
      7,
      /nobody listens at.*\nhint: /s,
    ],
    [
      'http, where it speaks TLS',
      async () => add('bad', alpha.url.replace('https', 'http'), alpha.token),
      7,
      /lost bad/,
    ],
    [
      'TLS, where it speaks http',
      async () => add('bad', (await fleet.impostor(() => {})).replace('http', 'https'), alpha.token),
      7,
      /speaks no TLS/,
    ],
    [
      'what answers, but not as we do',
      async () =>
        add(
          'bad',
          await fleet.impostor((_, response) => response.writeHead(302, { location: '/' }).end()),
          alpha.token,
        ),
      1,
      /not JSON|does not understand/,
    ],
    [
      'another server under the same name',
      async () => {
        await addAlpha()
        return await add('alpha', `https://127.0.0.1:1`, alpha.token)
      },
      4,
      /alpha is https:\/\/127.*already/,
    ],
    [
      'http to another host',
      async () => add('bad', 'http://192.0.2.1:7443', alpha.token),
      2,
      /whoever sees the traffic/,
    ],
    [
      'a URL with more in it',
      async () => add('bad', 'https://user:secret@127.0.0.1/x', alpha.token),
      2,
      /not the address of a server/,
    ],
    [
      'no token',
      async () => fleet.run(['server', 'add', 'bad', alpha.url]),
      2,
      /there is no token.*--token-file FILE or --token-stdin/s,
    ],
    ['an empty one', async () => add('bad', alpha.url, ''), 2, /there is no token/],
    [
      'a file for a token that is none',
      async () => fleet.run(['server', 'add', 'bad', alpha.url, '--token-file', '/etc/passwd']),
      2,
      /that is no token/,
    ],
    [
      'a CA that is none',
      async () => add('bad', alpha.url, alpha.token, '--ca', '/etc/passwd'),
      2,
      /no file of certificates/,
    ],
    ['the name of this host', async () => add('local', alpha.url, alpha.token), 2, /local is the daemon of this host/],
  ] as const)('%s is refused with what happened and what to type', async (_, attempt, code, message) => {
    const refused = await attempt()
    expect([refused.code, refused.stdout]).toEqual([code, ''])
    expect(refused.stderr).toMatch(message)
    expect(refused.stderr).not.toContain(alpha.token.slice(-43))
    expect((await fleet.run(['server', 'ls', '-q'])).stdout).not.toContain('bad')
  })

  test('an expired certificate, and one for another name, are told apart', async () => {
    const old = await fleet.authority.issue('old', { days: -1 })
    const { createServer } = await import('node:https')
    const [cert, key] = [await readFile(old.cert), await readFile(old.key)]
    const other = await fleet.authority.issue('other')
    const serve = async (host: string, files: { cert: Buffer; key: Buffer }) => {
      const server = createServer(files, (_, response) => response.end())
      const port = await freePort()
      await new Promise<void>((resolve) => server.listen(port, host, resolve))
      return { url: `https://${host}:${port}`, server }
    }
    const expired = await serve('127.0.0.1', { cert, key })
    const renamed = await serve('127.0.0.2', { cert: await readFile(other.cert), key: await readFile(other.key) })
    const ca = ['--ca', fleet.authority.ca]
    expect(await add('bad', expired.url, alpha.token, ...ca)).toMatchObject({
      code: 7,
      stderr: expect.stringMatching(/has expired\nhint: renew it/),
    })
    expect(await add('bad', renamed.url, alpha.token, ...ca)).toMatchObject({
      code: 7,
      stderr: expect.stringMatching(/for another name: .*127\.0\.0\.1/),
    })
    for (const { server } of [expired, renamed]) server.close()
  })

  test('what was said of it last, and nearest, counts', async () => {
    await addAlpha()
    expect(await fleet.run(['server', 'set-default', 'alpah'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('did you mean alpha?'),
    })
    expect(await fleet.run(['server', 'set-default', 'alpha'])).toMatchObject({ code: 0 })
    const nameOf = async (words: string[], env = {}) => {
      const { stdout, stderr, code } = await fleet.run([...words, 'version', '--json'], { env })
      return code === 0
        ? ((JSON.parse(stdout) as { server?: { data_directory: string } }).server?.data_directory ?? 'none')
        : `${code} ${stderr}`
    }
    expect(await nameOf([])).toBe(alpha.data)
    expect(await nameOf(['-s', 'local'])).toBe('none')
    expect(await nameOf(['--data', '/nonexistent'])).toBe('none')
    expect(await nameOf([], { COWSHED_DATA: '/nonexistent' })).toBe('none')
    expect(await nameOf(['-s', 'local', '--data', '/nonexistent'])).toMatch(/^2 .*each say whom/)
    expect(await nameOf(['-s', 'nobody'])).toMatch(/^3 .*no server nobody/)
    expect(await nameOf([], { COWSHED_SERVER: 'local' })).toBe('none')
    const byUrl = { COWSHED_SERVER: alpha.url, COWSHED_TOKEN: alpha.token, COWSHED_CA: fleet.authority.ca }
    expect(await nameOf([], byUrl)).toBe(alpha.data)
    expect(await nameOf([], { ...byUrl, COWSHED_TOKEN: '' })).toMatch(/^2 .*no token for https/)
    expect(await fleet.run(['server', 'rm', 'alpha'])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('it was the default'),
    })
    expect(await nameOf([])).toBe('none')
  })

  test('a token of the environment goes to the server of the environment alone', async () => {
    const heard: (string | undefined)[] = []
    const url = await fleet.impostor((request, response) => {
      heard.push(request.headers.authorization)
      response.end('{"sheds":[]}')
    })
    await add('other', url, 'other-token', '--no-check')
    const env = { COWSHED_SERVER: 'alpha', COWSHED_TOKEN: 'env-token' }
    expect(await fleet.run(['-s', 'other', 'ls'], { env })).toMatchObject({ code: 0 })
    expect(await fleet.run(['-s', 'other', 'ls'], { env: { COWSHED_TOKEN: 'env-token' } })).toMatchObject({ code: 0 })
    expect(await fleet.run(['-s', url, 'ls'], { env })).toMatchObject({ code: 2 })
    expect(await fleet.run(['ls'], { env: { ...env, COWSHED_SERVER: 'other' } })).toMatchObject({ code: 0 })
    expect(heard).toEqual(['Bearer other-token', 'Bearer other-token', 'Bearer env-token'])
    await fleet.run(['server', 'rm', 'other'])
  })

  test('completion knows the servers, and what is on the one that is named', async () => {
    await addAlpha()
    const complete = async (...words: string[]) => (await fleet.run(['__complete', '--', ...words])).stdout
    expect(await complete('-s', '')).toBe('local\nalpha\n')
    expect(await complete('ls', '--server', 'al')).toBe('alpha\n')
    expect(await complete('server', 'rm', '')).toBe('alpha\n')
    expect(await complete('-s', 'alpha', 'image', 'inspect', 'ti')).toBe('tiny:1\n')
    expect(await complete('image', 'inspect', 'ti')).toBe('')
  })

  test('one whose file was damaged is shown as that, and goes', async () => {
    await addAlpha()
    await writeFile(join(settings(), 'servers/alpha.json'), '{"url": 7}')
    expect((await fleet.run(['server', 'ls'])).stdout).toMatch(
      /alpha +- +broken: .*alpha\.json is not what server add writes/,
    )
    expect(await fleet.run(['-s', 'alpha', 'ls'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('add the server again'),
    })
    expect(await fleet.run(['server', 'rm', 'alpha'])).toMatchObject({ code: 0 })
    expect(await readdir(join(settings(), 'servers'))).toEqual([])
  })
})
