import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createNetServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { digestOf, isProblem } from '../../base/index.ts'
import { Guard } from './http/guard.ts'
import { openRegistries, type Registries, type RegistrySettings } from './index.ts'
import { collect, keystream, quickPatience } from './registry.testkit.ts'

const blob = keystream(1000)
const digest = digestOf(blob)
const secret = 'very secret indeed'

describe('credentials', () => {
  test('do not follow a redirect to another host, nor come back with one', async () => {
    await using home = await startServer((_, reply) => {
      if (_.headers.authorization === undefined) unauthorized(reply, 'Basic realm="x"')
      else redirect(reply, `${away.url}/blob`)
    })
    await using away = await startServer((request, reply) => {
      if (request.url === '/blob') redirect(reply, `${home.url}/v2/again`)
      else reply.end(blob)
    })
    await using client = await openClient(home.host)
    const refusal = await client.read().catch((error: unknown) => error)
    expect(home.seen[1]).toMatchObject({
      url: `/v2/team/app/blobs/${digest}`,
      authorization: expect.stringMatching(/^Basic /),
    })
    expect(away.seen.length).toBeGreaterThan(0)
    for (const { authorization } of away.seen) expect(authorization).toBeUndefined()
    for (const { url, authorization } of home.seen) if (url === '/v2/again') expect(authorization).toBeUndefined()
    expect(isProblem(refusal)).toBe(true)
  })

  test('follow a redirect of the registry to itself', async () => {
    await using home = await startServer((request, reply) => {
      if (request.headers.authorization === undefined) unauthorized(reply, 'Basic realm="x"')
      else if (request.url?.startsWith('/v2/')) redirect(reply, '/storage')
      else reply.end(blob)
    })
    await using client = await openClient(home.host)
    expect((await client.read()).equals(blob)).toBe(true)
  })

  test('are not shown to a storage that asks for them', async () => {
    await using away = await startServer((_, reply) => unauthorized(reply, 'Basic realm="storage"'))
    await using home = await startServer((_, reply) => redirect(reply, `${away.url}/blob`))
    await using client = await openClient(home.host)
    await expect(client.read()).rejects.toMatchObject({ code: 'REGISTRY_FAILED' })
    expect(away.seen.length).toBeGreaterThan(0)
    for (const { authorization } of away.seen) expect(authorization).toBeUndefined()
  })

  test('do not follow an upload or a list of tags to another host', async () => {
    await using away = await startServer((_, reply) => reply.end('{"tags":["stolen"]}'))
    await using home = await startServer((request, reply) => {
      if (request.headers.authorization === undefined) unauthorized(reply, 'Basic realm="x"')
      else if (request.method === 'POST') reply.writeHead(202, { location: `${away.url}/upload` }).end()
      else reply.writeHead(200, { link: `<${away.url}/tags>; rel="next"` }).end('{"tags":["mine"]}')
    })
    await using client = await openClient(home.host)
    await expect(collect(client.repository.listTags())).rejects.toMatchObject({ code: 'REGISTRY_FAILED' })
    expect(away.seen).toEqual([])
    const open = () => collectable(blob)
    await client.repository.uploadBlob({ digest, size: blob.length, open }).catch(() => undefined)
    expect(away.seen.map(({ method }) => method)).toContain('PUT')
    for (const { authorization } of away.seen) expect(authorization).toBeUndefined()
  })

  test('are in no message, though the registry quotes them', async () => {
    await using home = await startServer((request, reply) => {
      const { authorization } = request.headers
      if (authorization === undefined) unauthorized(reply, 'Basic realm="x"')
      else
        reply.writeHead(403).end(JSON.stringify({ errors: [{ code: 'DENIED', message: `not with ${authorization}` }] }))
    })
    await using client = await openClient(home.host)
    const refusal: unknown = await client.read().catch((error: unknown) => error)
    if (!isProblem(refusal, 'REGISTRY_UNAUTHORIZED')) throw refusal
    const shown = JSON.stringify([refusal.message, refusal.hint, refusal.data, refusal.stack])
    expect(shown).toContain('DENIED')
    expect(shown).not.toContain(Buffer.from(`user:${secret}`).toString('base64'))
    expect(shown).not.toContain(secret)
  })
})

describe('a registry does not lead its clients', () => {
  test.each([
    'http://169.254.169.254/latest/meta-data',
    'http://[fe80::1]/',
    'http://224.0.0.1/',
    'http://[::ffff:169.254.169.254]/',
  ])('to %s: not as storage, not for a token', async (target) => {
    await using storage = await startServer((_, reply) => redirect(reply, target))
    await using tokens = await startServer((_, reply) => unauthorized(reply, `Bearer realm="${target}"`))
    for (const { host } of [storage, tokens]) {
      await using client = await openClient(host)
      await expect(client.read()).rejects.toMatchObject({
        code: 'REGISTRY_FAILED',
        message: expect.stringContaining('own network'),
      })
    }
  })

  test('to a name that stands for such an address', async () => {
    await using home = await startServer((_, reply) => redirect(reply, 'http://metadata.example/'))
    const resolve = async (hostname: string) => [
      { address: hostname === 'metadata.example' ? '169.254.169.254' : '127.0.0.1', family: 4 },
    ]
    await using client = await openClient(home.host, { resolve })
    await expect(client.read()).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
      message: expect.stringContaining('metadata.example (169.254.169.254)'),
    })
  })

  test('is found out once the name of the registry itself can be looked up', async () => {
    let asked = 0
    const guard = new Guard('home.example', async () => {
      if (asked++ === 0) throw Object.assign(new Error('not now'), { code: 'EAI_AGAIN' })
      return [{ address: '10.0.0.1', family: 4 }]
    })
    const beside = new URL('http://10.0.0.2/')
    await expect(guard.checkLiteral(beside)).rejects.toMatchObject({ code: 'REGISTRY_FAILED' })
    await guard.checkLiteral(beside)
  })

  test.each([
    'Bearer',
    'Bearer realm=""',
    'Bearer realm="file:///etc/passwd"',
    'Bearer realm="http://["',
    'Bearer realm="//somewhere/token"',
  ])('with %s to no token server at all', async (challenge) => {
    await using home = await startServer((_, reply) => unauthorized(reply, challenge))
    await using client = await openClient(home.host)
    await expect(client.read()).rejects.toMatchObject({ code: 'REGISTRY_FAILED' })
  })
})

describe('a token server', () => {
  test.each<[string, string | object, string]>([
    ['no JSON', '<html>', 'REGISTRY_FAILED'],
    ['no token', { expires_in: 60 }, 'REGISTRY_FAILED'],
    ['a token that ends the header', { token: 'x\r\nHost: evil' }, 'REGISTRY_FAILED'],
    ['a token of another type', { token: 7 }, 'REGISTRY_FAILED'],
    ['a megabyte and more', 'x'.repeat(2 << 20), 'LIMIT_EXCEEDED'],
    ['a token that the registry does not take', { token: 'wrong' }, 'REGISTRY_UNAUTHORIZED'],
  ])('that answers %s', async (_, answer, code) => {
    await using tokens = await startServer((_request, reply) =>
      reply.end(typeof answer === 'string' ? answer : JSON.stringify(answer)),
    )
    await using home = await startServer((_request, reply) => unauthorized(reply, `Bearer realm="${tokens.url}/token"`))
    await using client = await openClient(home.host)
    const refusal: unknown = await client.read().catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code })
    expect(String(refusal)).not.toContain(secret)
  })

  test('that quotes a password has it in no message', async () => {
    await using tokens = await startServer((request, reply) =>
      reply.writeHead(403).end(JSON.stringify({ details: `${secret} and ${request.headers.authorization}` })),
    )
    await using home = await startServer((_request, reply) => unauthorized(reply, `Bearer realm="${tokens.url}/token"`))
    await using client = await openClient(home.host)
    const refusal = String(await client.read().catch((error: unknown) => error))
    expect(refusal).toContain('and Basic …')
    expect(refusal).not.toContain(secret)
  })

  test('that does not answer is not waited for by whoever stops', async () => {
    const stop = new AbortController()
    await using tokens = await startServer(() => stop.abort())
    await using home = await startServer((_request, reply) => unauthorized(reply, `Bearer realm="${tokens.url}/token"`))
    await using client = await openClient(home.host, { patience: { idleMs: 3600_000 } })
    const request = { digest, size: blob.length, signal: stop.signal }
    await expect(collect(client.repository.readBlob(request))).rejects.toMatchObject({ code: 'CANCELLED' })
  })

  test('that redirects does not get a password to another host', async () => {
    await using away = await startServer((_, reply) => reply.end('{"token":"given"}'))
    await using tokens = await startServer((_, reply) => redirect(reply, `${away.url}/token`))
    await using home = await startServer((request, reply) => {
      if (request.headers.authorization === 'Bearer given') reply.end(blob)
      else unauthorized(reply, `Bearer realm="${tokens.url}/token",service="s"`)
    })
    await using client = await openClient(home.host)
    expect((await client.read()).equals(blob)).toBe(true)
    expect(tokens.seen[0]?.authorization).toMatch(/^Basic /)
    expect(away.seen[0]?.authorization).toBeUndefined()
  })
})

describe('lists of tags', () => {
  test('come page by page; what is no tag is left out', async () => {
    await using home = await startServer((request, reply) => {
      const page = new URL(request.url ?? '', 'http://x').searchParams.get('last') ?? '0'
      const next = { link: `</v2/team/app/tags/list?n=1000&last=${Number(page) + 1}>; rel="next"` }
      reply.writeHead(200, page === '3' ? {} : next)
      reply.end(JSON.stringify({ name: 'team/app', tags: page === '1' ? null : [`v${page}`, '\u001b[31mred', '../x'] }))
    })
    await using client = await openClient(home.host)
    expect(await collect(client.repository.listTags())).toEqual(['v0', 'v2', 'v3'])
  })

  test('that lead back to themselves end in a Problem', async () => {
    await using home = await startServer((_, reply) => {
      reply.writeHead(200, { link: '</v2/team/app/tags/list?n=1>; rel="next"' }).end('{"tags":["v1"]}')
    })
    await using client = await openClient(home.host)
    await expect(collect(client.repository.listTags())).rejects.toMatchObject({ code: 'REGISTRY_FAILED' })
  })
})

describe('what does not speak HTTP', () => {
  test.each<[string, string | undefined]>([
    ['greets as SSH does', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['tells a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n'],
    ['never ends its headers', `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(20_000)}`],
    ['says nothing and goes', ''],
    ['resets', undefined],
  ])('ends in a Problem: it %s', async (_, said) => {
    const server = createNetServer((socket) => {
      socket.on('error', () => undefined).resume()
      if (said === undefined) socket.resetAndDestroy()
      else socket.end(said)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await using client = await openClient(`127.0.0.1:${port}`)
    await expect(client.read()).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' })
    server.close()
  })
})

interface SeenByServer {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly authorization: string | undefined
}

/** A server that does what no registry should. */
async function startServer(handle: (request: IncomingMessage, reply: ServerResponse) => void) {
  const seen: SeenByServer[] = []
  const server = createServer((request, reply) => {
    seen.push({ method: request.method, url: request.url, authorization: request.headers.authorization })
    request.resume()
    handle(request, reply)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    seen,
    host,
    url: `http://${host}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A client that has a password for that registry alone. */
async function openClient(host: string, options: Partial<Parameters<typeof openRegistries>[0]> = {}) {
  const home = await temporaryDirectory()
  await mkdir(join(home.path, '.docker'))
  const auth = Buffer.from(`user:${secret}`).toString('base64')
  await writeFile(join(home.path, '.docker/config.json'), JSON.stringify({ auths: { [host]: { auth } } }))
  const settings: Record<string, RegistrySettings> = { [host]: { plain_http: true } }
  const registries: Registries = openRegistries({
    settings,
    env: { HOME: home.path },
    patience: quickPatience,
    ...options,
  })
  const repository = registries.repository({ registry: host, path: 'team/app' })
  return {
    repository,
    read: async () => await collect(repository.readBlob({ digest, size: blob.length })),
    async [Symbol.asyncDispose]() {
      await registries.close()
      await home[Symbol.asyncDispose]()
    },
  }
}

async function* collectable(bytes: Buffer) {
  yield bytes
}

function redirect(reply: ServerResponse, location: string): void {
  reply.writeHead(307, { location }).end()
}

function unauthorized(reply: ServerResponse, challenge: string): void {
  reply.writeHead(401, { 'www-authenticate': challenge }).end()
}
