import { existsSync } from 'node:fs'
import { mkdir, utimes, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildImage, buildLayer, ociArchive } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { dataLayout } from '../../base/index.ts'
import { type Fleet, type FleetDaemon, openFleet } from './fleet.testkit.ts'

const older: RequestListener = (_, response) => response.writeHead(404).end('404 page not found')

/** Four servers as people have them: two that answer, one that is older than what is asked, one that is off. */
describe.runIf(needs({ tools: ['openssl'] }))('--all', () => {
  let fleet: Fleet
  let alpha: FleetDaemon
  let beta: FleetDaemon
  beforeAll(async () => {
    fleet = await openFleet()
    ;[alpha, beta] = [await fleet.start('alpha'), await fleet.start('beta')]
    for (const [name, { url }] of Object.entries({ alpha, beta })) {
      const given = ['--token-file', join(fleet.home, `${name}.token`), '--ca', fleet.authority.ca]
      expect(await fleet.run(['server', 'add', name, url, ...given])).toMatchObject({ code: 0 })
    }
    // Nobody listens there, and no other test is ever given that port.
    await add('off', 'http://127.0.0.1:1')
    await add('old', await fleet.impostor(older))
    const archive = join(fleet.home, 'tiny.tar')
    const image = buildImage({ layers: [buildLayer([{ path: 'a', content: 'b' }])] })
    await writeFile(archive, ociArchive([{ image, ref: 'tiny:1' }]))
    expect(await fleet.run(['-s', 'beta', 'image', 'load', archive])).toMatchObject({ code: 0 })
  })
  afterAll(async () => await fleet[Symbol.asyncDispose]())

  const add = (name: string, url: string) =>
    fleet.run(['server', 'add', name, url, '--token-stdin', '--no-check'], { input: 'some-token' })
  const json = async (...words: string[]) =>
    JSON.parse((await fleet.run([...words, '--json'])).stdout) as { servers: Record<string, unknown>[] }
  const unanswered = [
    {
      server_name: 'off',
      error: {
        code: 'SERVER_UNREACHABLE',
        message: expect.stringContaining('nobody listens'),
        hint: expect.any(String),
      },
    },
    {
      server_name: 'old',
      error: {
        code: 'ROUTE_NOT_FOUND',
        message: expect.stringContaining('old is older than this program: it has no GET /api/'),
        hint: expect.stringContaining('update cowshed there'),
      },
    },
  ]

  test('df: a block for each server, with what keeps one from answering in its place', async () => {
    const { code, stdout } = await fleet.run(['system', 'df', '--all'])
    expect(code).toBe(0)
    const blocks = stdout.split(/(?=^SERVER: )/m)
    expect(blocks.map((block) => /^SERVER: (\S+)/.exec(block)?.[1])).toEqual(['alpha', 'beta', 'off', 'old'])
    expect(blocks[0]).toMatch(/BACKEND: qemu\nGENERATED: .*Z\n\nCATEGORY +FILES +LOGICAL +PHYSICAL/)
    expect(blocks[1]).toMatch(/^images +3 /m)
    expect(blocks[2]).toMatch(/^SERVER: off\nerror: nobody listens at off .*\nhint: /)
    expect(blocks[3]).toMatch(/^error: old is older than this program: it has no GET \/api\/system\/df\nhint: update/m)
    expect((await fleet.run(['system', 'df', '--all', '-v'])).stdout).toContain('tiny:1')
  })

  test('df --json: {servers:[{server_name, usage?, error?}]}', async () => {
    const { servers } = await json('system', 'df', '--all')
    expect(servers.map((server) => Object.keys(server))).toEqual([
      ['server_name', 'usage'],
      ['server_name', 'usage'],
      ['server_name', 'error'],
      ['server_name', 'error'],
    ])
    expect(servers[1]).toMatchObject({ server_name: 'beta', usage: { images: [{ docker_ref: 'tiny:1' }] } })
    expect(servers.slice(2)).toEqual(unanswered)
  })

  test('df --since: what has changed on each server, or why that is not known there', async () => {
    // With what was looked at just now to compare with: alpha has that, beta was never asked.
    await fleet.run(['-s', 'alpha', 'system', 'df'])
    const { code, stdout } = await fleet.run(['system', 'df', '--all', '--since', '0s'])
    expect(code).toBe(0)
    const blocks = stdout.split(/(?=^SERVER: )/m)
    expect(blocks[0]).toMatch(/^SERVER: alpha +SINCE: .*Z\n/)
    expect(blocks[2]).toMatch(/^SERVER: off\nerror: nobody listens at off/)
    expect(blocks[3]).toMatch(/^error: old is older than this program: it has no GET \/api\/system\/df\/since/m)
    const { servers } = await json('system', 'df', '--all', '--since', '7d')
    expect(servers.slice(0, 2)).toMatchObject([
      { server_name: 'alpha', error: { code: 'USAGE_NOT_SAMPLED' } },
      { server_name: 'beta', error: { code: 'USAGE_NOT_SAMPLED' } },
    ])
    expect((await json('system', 'df', '--all', '--since', '0s')).servers[0]).toMatchObject({
      server_name: 'alpha',
      growth: { changes: expect.any(Array), unchanged: expect.any(Number) },
    })
  })

  test('ls and image ls: a column for the server, and what did not answer on stderr', async () => {
    const listed = await fleet.run(['image', 'ls', '--all'])
    expect(listed.stdout).toMatch(/^SERVER +NAME .*\nbeta +tiny:1 .*\n$/)
    expect(listed.stderr).toMatch(/^off: error: nobody listens.*\nhint: .*\nold: error: old is older/)
    expect((await fleet.run(['image', 'ls', '--all', '-q'])).stdout).toBe('beta/tiny:1\n')
    expect((await fleet.run(['ls', '--all'])).stdout).toMatch(/^SERVER +NAME +STATUS/)
    expect(await json('ls', '--all')).toEqual({
      servers: [{ server_name: 'alpha', sheds: [] }, { server_name: 'beta', sheds: [] }, ...unanswered],
    })
    expect((await json('image', 'ls', '--all')).servers[1]).toMatchObject({ images: [{ tags: ['tiny:1'] }] })
  })

  test('those that do not answer are no failure, unless it is --strict', async () => {
    for (const words of [['ls'], ['image', 'ls'], ['system', 'df'], ['system', 'prune', '--dry-run']]) {
      expect((await fleet.run([...words, '--all'])).code, words.join(' ')).toBe(0)
      expect((await fleet.run([...words, '--all', '--strict'])).code, words.join(' ')).toBe(6)
    }
  })

  test.each([
    [['system', 'prune', '--all'], 2, /removes data on every server\nhint: look first: --all --dry-run/],
    [['system', 'prune', '--all', '--json'], 2, /removes data on every server/],
    [['ls', '--strict'], 2, /about --all/],
    [['ls', '--all', '-s', 'alpha'], 2, /each say whom/],
    [['system', 'df', '--all', '--explain', 'web'], 2, /is about one server/],
    [['ls', '--all', '--timeout', '0s'], 2, /wait for nobody/],
  ])('%j is refused', async (words, code, message) => {
    const refused = await fleet.run(words, { isTty: true, input: 'y\n' })
    expect([refused.code, refused.stderr]).toEqual([code, expect.stringMatching(message)])
  })

  test('prune: each server removes what its own plan showed, and only with --force', async () => {
    const orphans = [alpha, beta].map(({ data }) => join(dataLayout(data).failures, 'web-0123456789ab.log'))
    for (const path of orphans) {
      await mkdir(join(path, '..'), { recursive: true })
      await writeFile(path, 'x'.repeat(10_000))
      await utimes(path, new Date('2020-01-01'), new Date('2020-01-01'))
    }
    const planned = await fleet.run(['system', 'prune', '--all', '--orphans', '--dry-run'])
    expect(planned.stdout.match(/^SERVER: (alpha|beta) +\(dry-run\)|^ORPHANS \(1, 10\.0 kB\)|^SERVER: off/gm)).toEqual([
      expect.stringContaining('alpha'),
      'ORPHANS (1, 10.0 kB)',
      expect.stringContaining('beta'),
      'ORPHANS (1, 10.0 kB)',
      'SERVER: off',
    ])
    expect(orphans.every((path) => existsSync(path))).toBe(true)
    const { servers } = await json('system', 'prune', '--all', '--orphans', '--force')
    expect(servers.slice(0, 2)).toMatchObject(
      ['alpha', 'beta'].map((server_name) => ({
        server_name,
        prune: { dry_run: false, items: [{ kind: 'orphan', action: 'remove' }] },
      })),
    )
    expect(servers.slice(2).map(({ error }) => (error as { code: string }).code)).toEqual([
      'SERVER_UNREACHABLE',
      'ROUTE_NOT_FOUND',
    ])
    expect(orphans.some((path) => existsSync(path))).toBe(false)
    expect((await fleet.run(['system', 'prune', '--all', '--orphans', '--force'])).stdout).toContain(
      'TOTAL TO FREE: 0 B',
    )
  })

  test('with a token that may only look a prune is shown, and not done', async () => {
    const made = await alpha.run('token', 'create', '--name', 'looks', '--read-only')
    const token = made.stdout.trim()
    const given = ['server', 'add', 'looks', alpha.url, '--ca', fleet.authority.ca, '--token-stdin']
    expect(await fleet.run(given, { input: token })).toMatchObject({ code: 0 })
    const prune = ['-s', 'looks', 'system', 'prune']
    const [looked, done] = [await fleet.run([...prune, '--dry-run']), await fleet.run([...prune, '--json', '--force'])]
    expect([looked.code, looked.stdout]).toEqual([0, expect.stringMatching(/^SERVER: \S+ +\(dry-run\)/)])
    expect([done.code, done.stderr]).toEqual([1, expect.stringContaining('FORBIDDEN')])
    await fleet.run(['server', 'rm', 'looks'])
  })

  test('the daemon of this host is asked when it runs, and not started for it', async () => {
    const env = { XDG_CONFIG_HOME: join(fleet.home, '.config') }
    const there = await fleet.run(['ls', '--all', '--json', '--data', alpha.data], { env })
    expect(
      (JSON.parse(there.stdout) as { servers: { server_name: string }[] }).servers.map((server) => server.server_name),
    ).toEqual(['local', 'alpha', 'beta', 'off', 'old'])
    expect(await fleet.run(['ls', '--all'], { env: { XDG_CONFIG_HOME: '/nonexistent' } })).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('no server to ask'),
    })
  })

  test('one that never answers is waited for as long as was said, and nobody waits for it longer', async () => {
    await add('mute', await fleet.impostor(() => {}))
    const { servers } = await json('ls', '--all', '--timeout', '300ms')
    expect(servers.find(({ server_name }) => server_name === 'mute')).toMatchObject({
      error: { code: 'SERVER_UNREACHABLE', message: 'it did not answer within 0.3 seconds' },
    })
    expect(servers.slice(0, 2).every(({ error }) => error === undefined)).toBe(true)
    await fleet.run(['server', 'rm', 'mute'])
  })

  const evil = '\u001b]0;owned\u0007\u001b[2J\u009b31m\u202e'
  const hostile: [string, RequestListener][] = [
    ['names that act on a terminal', (_, response) => response.end(JSON.stringify(usageOf(evil)))],
    [
      'errors that do',
      (_, response) =>
        response.writeHead(500).end(JSON.stringify({ error: { code: evil, message: evil, hint: evil, data: 7 } })),
    ],
    [
      'a code that is none',
      (_, response) => response.writeHead(400).end(JSON.stringify({ error: { code: 'constructor', message: 'x' } })),
    ],
    ['null', (_, response) => response.end('null')],
    ['an error that is null', (_, response) => response.writeHead(404).end('{"error":null}')],
    ['other shapes', (_, response) => response.end('{"sheds":[{"name":1}],"images":{"a":1}}')],
    [
      'half an answer',
      (_, response) => response.writeHead(200, { 'content-length': '100' }).write('{', () => response.destroy()),
    ],
    [
      'events for an answer',
      (_, response) =>
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`event: complete\ndata: ${evil}\n\n`),
    ],
    ['a way to somewhere else', (_, response) => response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end()],
  ]
  test.each(hostile)('a server that answers with %s harms nobody', async (_, listener) => {
    await add('evil', await fleet.impostor(listener))
    for (const words of [['ls'], ['image', 'ls'], ['system', 'df', '-v'], ['system', 'prune', '--dry-run']]) {
      const { code, stdout, stderr } = await fleet.run([...words, '--all'])
      expect(code, words.join(' ')).toBe(0)
      expect(stdout + stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
      expect(stdout + stderr).not.toContain('defect')
      const shown = await fleet.run([...words, '--all', '--json'])
      expect(shown.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
      expect((JSON.parse(shown.stdout) as { servers: unknown[] }).servers).toHaveLength(5)
    }
    await fleet.run(['server', 'rm', 'evil'])
  })
})

/** A report that is what the contract says, with a name in it. */
function usageOf(name: string) {
  const size = { logical_bytes: 0, physical_bytes: 0 }
  const total = { ...size, files: 0, exclusive_bytes: 0, shared_bytes: 0 }
  const file = { path: name, kind: name, size, exclusive_bytes: 0 }
  return {
    server_name: name,
    backend: name,
    generated_at: '2024-01-01T00:00:00Z',
    accuracy: 'exact',
    union_bytes: 0,
    filesystem: { total_bytes: 0, used_bytes: 0, free_bytes: 0, other_bytes: 0, reserved_bytes: 0 },
    sheds: [],
    images: [],
    caches: [file],
    orphans: [file],
    deleted: [file],
    totals: { images: total, sheds: { ...total, stopped: 0, running: 0 }, caches: total, orphans: total, all: total },
    notes: [name],
  }
}
