import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Fault, type Matching, startFaultProxy } from '../../../../test/support/fault-proxy.ts'
import { heldBytes } from '../../../../test/support/garbage.ts'
import { needs } from '../../../../test/support/needs.ts'
import { registryTools, startRegistry } from '../../../../test/support/registry.ts'
import { digestOf } from '../../../base/index.ts'
import { openRegistries } from '../open-registries.ts'
import {
  collect,
  keystream,
  openRegistryClient,
  quickPatience,
  type RegistryClient,
  uploadBytes,
} from '../registry.testkit.ts'
import type { ReadBlob } from '../registry.ts'

const blob = keystream(1 << 20)
const digest = digestOf(blob)
const size = blob.length
const blobs: Matching = { method: 'GET', path: /\/blobs\/sha256:/ }
const half = size >> 1

describe.runIf(needs({ tools: registryTools }))('a blob comes whole', () => {
  let client: RegistryClient
  beforeAll(async () => {
    client = await openRegistryClient()
    await uploadBytes(client.repository('team/app'), blob)
  })
  afterAll(async () => {
    await client[Symbol.asyncDispose]()
  })
  beforeEach(() => client.proxy.clear())

  const read = async (request: Partial<ReadBlob> = {}) =>
    await collect(client.repository('team/app').readBlob({ digest, size, ...request }))
  const readImpatiently = async () => await collect(client.impatient('team/app').readBlob({ digest, size }))
  const isSilence = ({ kind }: Fault) => kind === 'stall' || kind === 'trickle'
  const ranges = () => client.proxy.requests.map(({ headers }) => headers.range ?? 'all')
  const answer = (status: number, headers: Record<string, string> = {}): Fault => ({ kind: 'answer', status, headers })
  const range = (value: string | undefined): Fault => ({ kind: 'headers', headers: { 'content-range': value } })

  test.each<[string, Fault[]]>([
    ['a reset in the middle', [{ kind: 'reset', after: half }]],
    [
      'resets again and again, each time further on',
      [1, 2, 3, 4, 5, 6].map(() => ({ kind: 'reset', after: 100_000 }) as const),
    ],
    ['a reset before anything', [{ kind: 'reset', after: 0 }]],
    ['silence in the middle', [{ kind: 'stall', after: half }]],
    ['silence from the start', [{ kind: 'stall', after: 0 }]],
    ['a trickle', [{ kind: 'trickle', bytesPerSecond: 50 }]],
    ['an end too early', [{ kind: 'short', after: half }]],
    [
      'two of them',
      [
        { kind: 'short', after: half },
        { kind: 'short', after: 1000 },
      ],
    ],
    ['the whole for a Range', [{ kind: 'reset', after: half }, { kind: 'ignore-range' }]],
    ['a Range that begins elsewhere', [{ kind: 'reset', after: half }, range(`bytes ${half - 7}-${size - 1}/${size}`)]],
    ['a Range of a larger blob', [{ kind: 'reset', after: half }, range(`bytes ${half}-${size - 1}/${size + 1}`)]],
    ['a Range that does not say which', [{ kind: 'reset', after: half }, range(undefined)]],
    ['206 and nonsense', [{ kind: 'reset', after: half }, range('bytes x-y/z')]],
    ['416', [{ kind: 'reset', after: half }, answer(416)]],
    ['a Content-Length that is too small', [{ kind: 'headers', headers: { 'content-length': String(half) } }]],
    ['a Content-Length that is too large', [{ kind: 'headers', headers: { 'content-length': String(size + 5) } }]],
    ['429 with seconds', [answer(429, { 'retry-after': '0' })]],
    ['429 with a date', [answer(429, { 'retry-after': new Date(0).toUTCString() })]],
    ['500, 502, 503', [answer(500), answer(502), answer(503)]],
    ['a link to a storage that refuses', [answer(307, { location: 'http://127.0.0.1:1/blob' })]],
  ])('after %s', async (_, faults) => {
    for (const fault of faults) client.proxy.fault(blobs, fault)
    expect((await (faults.some(isSilence) ? readImpatiently() : read())).equals(blob)).toBe(true)
  })

  test('and what has come is not asked for again', async () => {
    client.proxy.fault(blobs, { kind: 'short', after: half })
    await read()
    expect(ranges()).toEqual(['all', `bytes=${half}-${size - 1}`])
  })

  test('from where the registry sends us, which is asked again only when that refuses or fails', async () => {
    await using storage = await startFaultProxy(client.registry)
    client.proxy.fault({ ...blobs, times: 9 }, answer(307, { location: `${storage.url}/v2/team/app/blobs/${digest}` }))
    const part = async () => await read({ from: 1000, until: 5000 })
    const asked = () => client.proxy.requests.length
    for (let times = 0; times < 3; times++) expect((await part()).equals(blob.subarray(1000, 5000))).toBe(true)
    expect([asked(), storage.requests.length]).toEqual([1, 3])

    for (const fault of [answer(403), answer(401), answer(400), answer(503), { kind: 'reset', after: 10 } as const]) {
      storage.fault({}, fault)
      const before = asked()
      expect((await part()).equals(blob.subarray(1000, 5000))).toBe(true)
      await part()
      expect(asked() - before).toBe(1)
    }
    const before = asked()
    await read({ mirrors: false })
    expect(asked() - before).toBe(1)
    // No credentials are sent there.
    for (const { headers } of storage.requests) expect(headers.authorization).toBeUndefined()
  })

  test('however slowly, as long as it comes', async () => {
    // Four times as long as silence is borne.
    client.proxy.network.bytesPerSecond = size >> 1
    try {
      expect((await readImpatiently()).equals(blob)).toBe(true)
      expect(ranges()).toEqual(['all'])
    } finally {
      client.proxy.network.bytesPerSecond = Number.POSITIVE_INFINITY
    }
  })

  test('in part, when only a part is wanted, also of a registry that knows no ranges', async () => {
    const part = blob.subarray(1000, 300_000)
    expect((await read({ from: 1000, until: 300_000 })).equals(part)).toBe(true)
    client.proxy.fault({ ...blobs, times: 9 }, { kind: 'ignore-range' })
    expect((await read({ from: 1000, until: 300_000 })).equals(part)).toBe(true)
    expect((await read({ from: size })).length).toBe(0)
  })

  test.each<[string, Fault, string]>([
    ['is longer than it should be', { kind: 'long', extra: 1 }, 'SIZE_MISMATCH'],
    ['is always cut short', { kind: 'short', after: 10 }, 'SIZE_MISMATCH'],
    ['never begins', { kind: 'stall', after: 0 }, 'REGISTRY_UNREACHABLE'],
    ['trickles', { kind: 'trickle', bytesPerSecond: 50 }, 'REGISTRY_UNREACHABLE'],
    ['breaks off at once', { kind: 'reset', after: 10 }, 'REGISTRY_UNREACHABLE'],
    ['is said to be another size', { kind: 'headers', headers: { 'content-length': '7' } }, 'SIZE_MISMATCH'],
    ['comes compressed', { kind: 'headers', headers: { 'content-encoding': 'gzip' } }, 'REGISTRY_FAILED'],
    ['answers 503', { kind: 'answer', status: 503 }, 'REGISTRY_FAILED'],
    ['answers 429', { kind: 'answer', status: 429 }, 'REGISTRY_THROTTLED'],
    [
      'answers 429 for an hour',
      { kind: 'answer', status: 429, headers: { 'retry-after': '3600' } },
      'REGISTRY_THROTTLED',
    ],
    ['answers 418', { kind: 'answer', status: 418 }, 'REGISTRY_FAILED'],
    ['is not there', { kind: 'answer', status: 404 }, 'REGISTRY_NOT_FOUND'],
    ['is not for us', { kind: 'answer', status: 403 }, 'REGISTRY_UNAUTHORIZED'],
    [
      'is behind a link that refuses',
      { kind: 'answer', status: 302, headers: { location: 'http://127.0.0.1:1/' } },
      'REGISTRY_UNREACHABLE',
    ],
    [
      'is behind a circle of links',
      { kind: 'answer', status: 302, headers: { location: '?again' } },
      'REGISTRY_FAILED',
    ],
    ['is behind a link to nowhere', { kind: 'answer', status: 302 }, 'REGISTRY_FAILED'],
  ])('or not at all, when it %s', async (_, fault, code) => {
    client.proxy.fault({ ...blobs, times: 100 }, fault)
    await expect(isSilence(fault) ? readImpatiently() : read()).rejects.toMatchObject({ code })
  })

  test('or not at all, when a registry without ranges breaks off for ever', async () => {
    client.proxy.fault(blobs, { kind: 'short', after: 100_000 })
    client.proxy.fault(blobs, { kind: 'answer', status: 416 })
    // Ended, not reset, which may throw away what was on its way. Each whole answer brings 100,000 bytes more than the one before: progress, but at the cost of all that is before.
    for (let at = 200_000; at < size; at += 100_000) client.proxy.fault(blobs, { kind: 'short', after: at })
    await expect(read()).rejects.toMatchObject({
      code: 'REGISTRY_FAILED',
      message: expect.stringContaining('from the middle'),
    })
  })

  test('wrong bytes come as they are: whoever has them all hashes them', async () => {
    client.proxy.fault(blobs, { kind: 'corrupt', at: 77 })
    const bytes = await read()
    expect(bytes.length).toBe(size)
    expect(digestOf(bytes)).not.toBe(digest)
  })

  test('until somebody says stop', async () => {
    const stop = new AbortController()
    client.proxy.fault(blobs, { kind: 'stall', after: half })
    let bytes = 0
    const reading = (async () => {
      for await (const chunk of client.repository('team/app').readBlob({ digest, size, signal: stop.signal })) {
        bytes += chunk.length
        if (bytes >= half) stop.abort()
      }
    })()
    await expect(reading).rejects.toMatchObject({ code: 'CANCELLED' })
  })

  test('a reader that stops early is no error', async () => {
    for await (const chunk of client.repository('team/app').readBlob({ digest, size })) {
      expect(chunk.length).toBeGreaterThan(0)
      break
    }
  })
})

describe.runIf(needs({ tools: registryTools }))('a token that ends in the middle of a download', () => {
  test('is replaced, and the download goes on', async () => {
    await using client = await openRegistryClient({ auth: 'token' })
    const repository = client.repository('team/app')
    await uploadBytes(repository, blob)
    const challenge = { 'www-authenticate': `Bearer realm="${client.registry.tokens?.realm}",service="test-registry"` }
    // The first request has no token yet.
    client.proxy.fault({ ...blobs, skip: 1 }, { kind: 'reset', after: half })
    client.proxy.fault(blobs, { kind: 'answer', status: 401, headers: challenge })
    expect((await collect(repository.readBlob({ digest, size }))).equals(blob)).toBe(true)
  })
})

describe.runIf(needs({ tools: registryTools }))('memory', () => {
  test('is that of what is in flight, not of the blob', async () => {
    await using registry = await startRegistry()
    const registries = openRegistries({ env: {}, patience: quickPatience })
    const repository = registries.repository({ registry: registry.host, path: 'team/app' }, { plainHttp: true })
    const large = keystream(64 << 20)
    await uploadBytes(repository, large)
    const before = heldBytes()
    let most = 0
    let bytes = 0
    for await (const chunk of repository.readBlob({ digest: digestOf(large), size: large.length })) {
      bytes += chunk.length
      // A slow reader: what it does not take has to wait in the registry.
      if (bytes % (1 << 20) < chunk.length) await new Promise((resolve) => setImmediate(resolve))
      if (bytes % (4 << 20) < chunk.length) most = Math.max(most, heldBytes() - before)
    }
    expect(bytes).toBe(large.length)
    expect(most).toBeLessThan(32 << 20)
    await registries.close()
  })
})
