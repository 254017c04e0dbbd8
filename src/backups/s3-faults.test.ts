import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Fault, type FaultProxy, type Matching, startFaultProxy } from '../../test/support/fault-proxy.ts'
import { type S3Server, startS3Server } from '../../test/support/s3-server.ts'
import { backUp } from './back-up.ts'
import { type Host, makeHost, quickPatience, restoreTo, s3Target } from './backups.testkit.ts'
import { chunkBytes } from './format/chunk.ts'
import { listBackups } from './repository/backups.ts'
import type { Repository } from './repository/open-repository.ts'
import { openTarget } from './targets/open-target.ts'

describe('over a network that fails, to a real S3 server', () => {
  let server: S3Server
  let proxy: FaultProxy
  let host: Host
  let repository: Repository
  let backup: string
  beforeAll(async () => {
    server = await startS3Server()
    proxy = await startFaultProxy(server)
    host = await makeHost()
    await writeFile(host.path('disk'), randomBytes(6 * chunkBytes))
    repository = await host.repository(s3Target(server, 'kept', { endpoint: proxy.url }))
    backup = (await make(repository)).id
  })
  afterAll(async () => {
    await repository.target.close()
    await host[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })

  const pack: Matching = { path: /\/packs\// }
  test.each<[string, Matching, Fault]>([
    [
      'the connection is reset while a pack is sent',
      { ...pack, method: 'PUT' },
      { kind: 'reset-request', after: 100_000 },
    ],
    ['nobody hears that a pack has come', { ...pack, method: 'PUT' }, { kind: 'lose-reply' }],
    ['the store is overloaded', { ...pack, method: 'PUT', times: 2 }, { kind: 'answer', status: 503 }],
    ['the store fails', { method: 'GET' }, { kind: 'answer', status: 500 }],
    ['a list is cut short', { path: /list-type/ }, { kind: 'short', after: 30 }],
    ['the manifest is lost on its way', { method: 'PUT', path: /\/backups\// }, { kind: 'reset-request', after: 10 }],
  ])('a backup is made although %s', async (what, matching, fault) => {
    const target = s3Target(server, what.replaceAll(' ', '-'), { endpoint: proxy.url })
    const faulty = await host.repository(target)
    proxy.clear()
    proxy.fault(matching, fault)
    const { id } = await make(faulty)
    proxy.clear()
    await expectRestored(faulty, id)
    await target.close()
  })

  test.each<[string, Fault]>([
    ['is reset in the middle of a pack', { kind: 'reset', after: 50_000 }],
    ['changes a byte', { kind: 'corrupt', at: 300_000 }],
    ['ends a body early', { kind: 'short', after: 200_000 }],
    ['knows no ranges', { kind: 'ignore-range' }],
    ['gives an error page', { kind: 'answer', status: 502, body: '<html>' }],
  ])('a restore is right although the network %s', async (_, fault) => {
    proxy.clear()
    proxy.fault({ ...pack, method: 'GET', skip: 1 }, fault)
    await expectRestored(repository, backup)
  })

  test('bytes that stay wrong are never restored', async () => {
    proxy.clear()
    proxy.fault({ ...pack, method: 'GET', skip: 1, times: 1000 }, { kind: 'corrupt', at: 100 })
    await expect(restore(repository, backup)).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' })
    proxy.clear()
    await expectRestored(repository, backup)
  })

  test('a store that falls silent is asked again', async () => {
    const patience = { ...quickPatience, idleMs: 1_500 }
    const target = s3Target(server, 'kept', { endpoint: proxy.url, patience })
    const impatient = await host.repository(target)
    proxy.clear()
    proxy.fault({ ...pack, method: 'GET' }, { kind: 'stall', after: 10_000 })
    await expectRestored(impatient, backup)
    await target.close()
  })

  test('a backup that the network did not let through goes on where it was', async () => {
    const target = s3Target(server, 'resumed', { endpoint: proxy.url })
    const faulty = await host.repository(target)
    proxy.clear()
    proxy.fault({ ...pack, method: 'PUT', skip: 1, times: 1000 }, { kind: 'reset-request', after: 1000 })
    // Two packs: of the second nothing gets through.
    await writeFile(host.path('large'), randomBytes(70 * chunkBytes))
    await expect(make(faulty, 'large')).rejects.toMatchObject({ code: 'BACKUP_TARGET_UNREACHABLE' })
    expect((await listBackups(faulty)).backups).toEqual([])
    proxy.clear()
    const { id, manifest } = await make(faulty, 'large')
    expect(manifest.added_bytes).toBeLessThan(10 * chunkBytes)
    const sent = proxy.requests.filter(({ method, path }) => method === 'PUT' && path.includes('/packs/'))
    expect(sent).toHaveLength(1)
    await expectRestored(faulty, id, 'large')
    await target.close()
  })

  test('who has no right is told so at once, and no secret is in what is said', async () => {
    proxy.clear()
    const target = openTarget(`s3://${server.bucket}/kept`, {
      s3: { '*': { endpoint: proxy.url, access_key_id: 'nobody', secret_access_key: 'not-the-SECRET' } },
      env: {},
      home: '/nowhere',
    })
    const problem = await target.get('cowshed-backups.json').catch((error: unknown) => error)
    expect(problem).toMatchObject({ code: 'BACKUP_TARGET_FAILED', data: { status: 403 } })
    expect(JSON.stringify([problem, String(problem)])).not.toContain('SECRET')
    expect(proxy.requests).toHaveLength(1)
    expect(JSON.stringify(proxy.requests)).not.toContain('SECRET')
    await target.close()
  })

  test('the store learns neither contents nor names', async () => {
    await writeFile(host.path('secret'), 'what nobody is to know')
    const files = [{ name: 'secret', path: host.path('secret') }]
    proxy.clear()
    await backUp({ repository, kind: 'volume', name: 'a-telling-name', record: { label: 'a-telling-label' }, files })
    const { execFileSync } = await import('node:child_process')
    const found = execFileSync('sh', ['-c', `grep -rl -e nobody -e telling '${server.directory}' || true`])
    expect(found.toString()).toBe('')
    expect(proxy.requests.some(({ path }) => path.includes('telling'))).toBe(false)
  })

  async function make(to: Repository, name = 'disk') {
    const files = [{ name, path: host.path(name) }]
    return await backUp({ repository: to, kind: 'volume', name: 'data', record: {}, files })
  }

  let restored = 0
  async function restore(from: Repository, id: string): Promise<string> {
    return await restoreTo(host, from, id, `restored-${restored++}`)
  }

  async function expectRestored(from: Repository, id: string, name = 'disk'): Promise<void> {
    const directory = await restore(from, id)
    expect((await readFile(join(directory, name))).equals(await readFile(host.path(name)))).toBe(true)
  }
})
