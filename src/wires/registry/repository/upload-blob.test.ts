import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Fault, type Matching, startFaultProxy } from '../../../../test/support/fault-proxy.ts'
import { needs } from '../../../../test/support/needs.ts'
import { registryTools } from '../../../../test/support/registry.ts'
import { digestOf, Problem } from '../../../base/index.ts'
import { openRegistries } from '../open-registries.ts'
import {
  chunksOf,
  collect,
  keystream,
  openRegistryClient,
  quickPatience,
  type RegistryClient,
} from '../registry.testkit.ts'
import type { UploadBlob } from '../registry.ts'

const MiB = 1 << 20
const large = 6 * MiB
const small = 100_000

describe.runIf(needs({ tools: registryTools }))('an upload', () => {
  let client: RegistryClient
  let seed = 0
  beforeAll(async () => {
    client = await openRegistryClient()
  })
  afterAll(async () => {
    await client[Symbol.asyncDispose]()
  })
  beforeEach(() => client.proxy.clear())

  const upload = async (bytes: number, extra: Partial<UploadBlob> = {}) => {
    const blob = keystream(bytes, ++seed)
    const digest = digestOf(blob)
    const opened: number[] = []
    const open = (from: number) => {
      opened.push(from)
      return chunksOf(blob, from)
    }
    const repository = client.repository('team/app')
    await repository.uploadBlob({ digest, size: blob.length, open, ...extra })
    const methods = client.proxy.requests.map(({ method }) => method)
    expect((await collect(repository.readBlob({ digest, size: blob.length }))).equals(blob)).toBe(true)
    client.proxy.clear()
    return { methods, opened }
  }

  test('of little goes in two requests, of much in three', async () => {
    expect((await upload(0)).methods).toEqual(['POST', 'PUT'])
    expect((await upload(1)).methods).toEqual(['POST', 'PUT'])
    expect((await upload(small)).methods).toEqual(['POST', 'PUT'])
    expect((await upload(large)).methods).toEqual(['POST', 'PATCH', 'PUT'])
  })

  const on = (method: string, fault: Fault): [Matching, Fault] => [{ method }, fault]
  const failures: [string, [Matching, Fault][]][] = [
    ['a POST that is lost', [on('POST', { kind: 'answer', status: 503 })]],
    ['a POST whose answer is lost', [on('POST', { kind: 'lose-reply' })]],
    ['a PUT that fails', [on('PUT', { kind: 'answer', status: 500 })]],
    ['a PUT whose answer is lost', [on('PUT', { kind: 'lose-reply' })]],
    ['429', [on('POST', { kind: 'answer', status: 429, headers: { 'retry-after': '0' } })]],
  ]
  test.each([
    ...failures,
    ['a PUT that breaks off', [on('PUT', { kind: 'reset-request', after: 5000 })]],
  ] as typeof failures)('of little survives %s', async (_, faults) => {
    for (const [matching, fault] of faults) client.proxy.fault(matching, fault)
    await upload(small)
  })

  test.each([
    ...failures,
    ['a PATCH that fails', [on('PATCH', { kind: 'answer', status: 502 })]],
    ['a PATCH whose answer is lost', [on('PATCH', { kind: 'lose-reply' })]],
    ['416', [on('PATCH', { kind: 'answer', status: 416 })]],
    [
      'an upload that is gone',
      [on('PATCH', { kind: 'answer', status: 404 }), on('GET', { kind: 'answer', status: 404 })],
    ],
    [
      'a question that fails',
      [on('PATCH', { kind: 'answer', status: 416 }), on('GET', { kind: 'answer', status: 500 })],
    ],
  ] as typeof failures)('of much survives %s', async (_, faults) => {
    for (const [matching, fault] of faults) client.proxy.fault(matching, fault)
    await upload(large)
  })

  test('whose answer never comes is looked for, and is there', async () => {
    const blob = keystream(large, ++seed)
    const place = client.impatient('team/app')
    client.proxy.fault({ method: 'PUT' }, { kind: 'stall-reply' })
    await place.uploadBlob({ digest: digestOf(blob), size: large, open: (from) => chunksOf(blob, from) })
    expect(client.proxy.requests.map(({ method }) => method)).toEqual(['POST', 'PATCH', 'PUT', 'GET', 'HEAD'])
  })

  test('goes on after the last part that the registry has taken', async () => {
    client.proxy.fault({ method: 'PATCH' }, { kind: 'answer', status: 413 })
    client.proxy.fault({ method: 'PATCH', skip: 1 }, { kind: 'answer', status: 502 })
    const { methods, opened } = await upload(large)
    expect(methods).toEqual(['POST', 'PATCH', 'GET', 'PATCH', 'PATCH', 'GET', 'PATCH', 'PUT'])
    expect(opened.at(-1)).toBe(4 * MiB)
  })

  test('of which the registry has forgotten all begins anew', async () => {
    // docker-registry 2.8 ends an upload whose PATCH breaks off.
    client.proxy.fault({ method: 'PATCH' }, { kind: 'reset-request', after: 4 * MiB })
    expect((await upload(large)).methods).toEqual(['POST', 'PATCH', 'GET', 'HEAD', 'POST', 'PATCH', 'PUT'])
  })

  test('of a part that is too large for a proxy goes on in smaller ones', async () => {
    client.proxy.fault({ method: 'PATCH' }, { kind: 'answer', status: 413 })
    const { methods } = await upload(large)
    expect(methods).toEqual(['POST', 'PATCH', 'GET', 'PATCH', 'PATCH', 'PUT'])
    client.proxy.fault({ method: 'PATCH', times: 100 }, { kind: 'answer', status: 413 })
    await expect(upload(large)).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
      message: expect.stringContaining('413'),
    })
  })

  test('in parts that the registry wants larger has them as large', async () => {
    client.proxy.fault({ method: 'POST' }, { kind: 'headers', headers: { 'oci-chunk-min-length': String(5 * MiB) } })
    client.proxy.fault({ method: 'PATCH' }, { kind: 'answer', status: 413 })
    const { methods } = await upload(large)
    expect(methods.filter((method) => method === 'PATCH')).toHaveLength(3)
  })

  test('follows a Location that is relative, with what is in its query', async () => {
    const seen: string[] = []
    client.proxy.fault({ method: 'POST' }, { kind: 'lose-reply' })
    await upload(large)
    for (const { path } of client.proxy.requests) seen.push(path)
    expect(seen.every((path) => path.startsWith('/v2/'))).toBe(true)
  })

  test.each<[string, Fault, string]>([
    ['nobody answers', { kind: 'answer', status: 503 }, 'REGISTRY_FAILED'],
    ['the connection always breaks', { kind: 'lose-reply' }, 'REGISTRY_UNREACHABLE'],
    [
      'it is not allowed',
      { kind: 'answer', status: 403, body: '{"errors":[{"code":"DENIED"}]}' },
      'REGISTRY_UNAUTHORIZED',
    ],
    ['it is throttled', { kind: 'answer', status: 429, headers: { 'retry-after': '9999' } }, 'REGISTRY_THROTTLED'],
    ['no Location comes', { kind: 'headers', headers: { location: undefined } }, 'REGISTRY_FAILED'],
    ['the Location is no URL', { kind: 'headers', headers: { location: 'http://[' } }, 'REGISTRY_FAILED'],
    ['the Location is a file', { kind: 'headers', headers: { location: 'file:///etc/passwd' } }, 'REGISTRY_FAILED'],
    [
      'the Location is of the metadata service',
      { kind: 'headers', headers: { location: 'http://169.254.169.254/x' } },
      'REGISTRY_FAILED',
    ],
    ['it is redirected', { kind: 'answer', status: 307, headers: { location: '/elsewhere' } }, 'REGISTRY_FAILED'],
  ])('ends in a Problem when %s', async (_, fault, code) => {
    client.proxy.fault({ method: 'POST', times: 100 }, fault)
    await expect(upload(large)).rejects.toMatchObject({ code })
  })

  test('of bytes that are not those of the digest says so, and leaves no upload behind', async () => {
    for (const bytes of [small, large]) {
      const wrong = upload(bytes, { open: () => chunksOf(Buffer.alloc(bytes)) })
      await expect(wrong).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
      expect(client.proxy.requests.at(-1)?.method).toBe('DELETE')
      client.proxy.clear()
    }
  })

  test('whose source fails ends in what the source said, without a second try', async () => {
    const reason = new Problem('BLOB_NOT_FOUND', 'it is gone')
    const open = async function* () {
      yield Buffer.alloc(1000)
      throw reason
    }
    await expect(upload(large, { open })).rejects.toBe(reason)
    await expect(upload(small, { open })).rejects.toBe(reason)
    expect(client.proxy.requests.filter(({ method }) => method === 'POST')).toHaveLength(2)
    const throwing = upload(small, {
      open: () => {
        throw reason
      },
    })
    await expect(throwing).rejects.toBe(reason)
    const short = upload(small, { open: () => chunksOf(Buffer.alloc(10)) })
    await expect(short).rejects.toMatchObject({ code: 'SIZE_MISMATCH' })
  })

  test('ends when somebody says stop', async () => {
    const stop = new AbortController()
    const onBytes = (done: number) => {
      if (done > MiB) stop.abort()
    }
    await expect(upload(large, { onBytes, signal: stop.signal })).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})

describe('an upload to a registry that keeps what it has got', () => {
  test.each([
    ['of all that came', 0],
    ['but for the last megabyte', MiB],
  ])('goes on from there: %s', async (_, loses) => {
    await using keeper = await startKeeper(loses)
    await using proxy = await startFaultProxy(keeper)
    const registries = openRegistries({ env: {}, patience: quickPatience })
    const repository = registries.repository({ registry: proxy.host, path: 'team/app' }, { plainHttp: true })
    const blob = keystream(large)
    const heard: number[] = []
    const opened: number[] = []
    const open = (from: number) => {
      opened.push(from)
      return chunksOf(blob, from)
    }
    proxy.fault({ method: 'PATCH' }, { kind: 'reset-request', after: 4 * MiB })
    await repository.uploadBlob({ digest: digestOf(blob), size: large, open, onBytes: (done) => heard.push(done) })
    expect(proxy.requests.map(({ method }) => method)).toEqual(['POST', 'PATCH', 'GET', 'PATCH', 'PUT'])
    expect(opened).toEqual([0, 4 * MiB - loses])
    expect(heard).toContain(4 * MiB - loses)
    expect(heard.at(-1)).toBe(large)
    expect(keeper.committed).toEqual([digestOf(blob)])
    await registries.close()
  })
})

/** What docker-registry does not do: an upload that breaks off stays, without its last `loses` bytes. Locations are relative, with a query. */
async function startKeeper(loses: number) {
  const committed: string[] = []
  let bytes = Buffer.alloc(0)
  const server = createServer(async (request, reply) => {
    const pieces: Buffer[] = []
    try {
      for await (const chunk of request) pieces.push(chunk as Buffer)
    } catch {
      const all = Buffer.concat([bytes, ...pieces])
      bytes = all.subarray(0, all.length - loses)
      return
    }
    bytes = Buffer.concat([bytes, ...pieces])
    const location = `?state=a%2Fb%3D${bytes.length}`
    const range = `0-${Math.max(0, bytes.length - 1)}`
    if (request.method === 'PUT') {
      const { searchParams } = new URL(request.url ?? '', 'http://keeper')
      const actual = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
      const right = searchParams.get('digest') === actual && searchParams.get('state') === `a/b=${bytes.length}`
      if (right) committed.push(actual)
      reply.writeHead(right ? 201 : 400).end()
    } else reply.writeHead(request.method === 'GET' ? 204 : 202, { location, range }).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    committed,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
