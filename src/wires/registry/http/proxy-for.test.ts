import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { needs } from '../../../../test/support/needs.ts'
import { registryTools, startRegistry } from '../../../../test/support/registry.ts'
import { digestOf } from '../../../base/index.ts'
import { openRegistries } from '../open-registries.ts'
import { collect, keystream, quickPatience, uploadBytes } from '../registry.testkit.ts'
import { proxyFor } from './proxy-for.ts'

const env = { HTTPS_PROXY: 'http://secure.proxy:3128', HTTP_PROXY: 'plain.proxy:8080' }

describe('the proxy for a URL', () => {
  test.each<[string, string | undefined, Record<string, string>]>([
    ['https://registry.example/', 'http://secure.proxy:3128/', {}],
    ['http://registry.example/', 'http://plain.proxy:8080/', {}],
    ['https://localhost:5000/', undefined, {}],
    ['https://127.0.0.1:5000/', undefined, {}],
    ['https://[::1]:5000/', undefined, {}],
    ['https://registry.example/', undefined, { NO_PROXY: '*' }],
    ['https://registry.example/', undefined, { no_proxy: 'other, Example' }],
    ['https://registry.example/', undefined, { NO_PROXY: 'registry.example' }],
    ['https://registry.example/', undefined, { NO_PROXY: '.example:443' }],
    ['https://registry.example/', 'http://secure.proxy:3128/', { NO_PROXY: '.example:5000' }],
    ['https://registry.example/', 'http://secure.proxy:3128/', { NO_PROXY: 'ample,.registry.example' }],
    ['https://10.1.2.3/', undefined, { NO_PROXY: '10.0.0.0/8' }],
    ['https://11.1.2.3/', 'http://secure.proxy:3128/', { NO_PROXY: '10.0.0.0/8,10.0.0.0/99,fd00::/8' }],
    ['https://[fd00::1]/', undefined, { NO_PROXY: 'fd00::/8' }],
  ])('%s is %s with %j', (url, expected, more) => {
    expect(proxyFor(new URL(url), { ...env, ...more })?.href).toBe(expected)
  })

  test('that is none is said to be none, without what it holds', () => {
    const wrong = { HTTPS_PROXY: 'socks5://user:secret@proxy' }
    expect(() => proxyFor(new URL('https://registry.example'), wrong)).toThrow(
      expect.objectContaining({ code: 'SETTINGS_INVALID', message: expect.not.stringContaining('secret') }),
    )
    expect(proxyFor(new URL('https://registry.example'), {})).toBeUndefined()
  })
})

describe.runIf(needs({ tools: registryTools }))('through a proxy', () => {
  test.each([[{}], [{ tls: true as const }]])('a registry %j is talked to', async (options) => {
    await using registry = await startRegistry(options)
    await using proxy = await startProxy()
    const port = registry.host.split(':')[1]
    const host = `registry.test:${port}`
    const ca = registry.certificate?.certificatePath
    const registries = openRegistries({
      settings: { [host]: ca === undefined ? { plain_http: true } : { ca } },
      env: { HTTPS_PROXY: proxy.url, HTTP_PROXY: proxy.url },
      patience: quickPatience,
    })
    const repository = registries.repository({ registry: host, path: 'team/app' })
    const blob = keystream(5 << 20)
    await uploadBytes(repository, blob)
    const request = { digest: digestOf(blob), size: blob.length, from: 1 }
    expect((await collect(repository.readBlob(request))).equals(blob.subarray(1))).toBe(true)
    expect(proxy.seen.length).toBeGreaterThan(0)
    for (const { authorization } of proxy.seen) {
      expect(authorization).toBe(`Basic ${Buffer.from('user:proxy secret').toString('base64')}`)
    }
    await registries.close()
  })

  test('that refuses, there is a Problem that does not hold its password', async () => {
    await using proxy = await startProxy(407)
    const registries = openRegistries({ env: { HTTPS_PROXY: proxy.url }, patience: quickPatience })
    const refusal: unknown = await registries
      .repository({ registry: 'registry.test', path: 'app' })
      .readManifest('v1')
      .catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: 'REGISTRY_UNREACHABLE', message: expect.stringContaining('407') })
    expect(String(refusal)).not.toContain('secret')
    await registries.close()
  })
})

/** Passes on what is for anyone at *.test to this host. */
async function startProxy(refuse?: number) {
  const seen: { authorization: string | undefined }[] = []
  const server = createServer((message, reply) => {
    seen.push({ authorization: message.headers['proxy-authorization'] })
    const target = new URL(message.url ?? '')
    const options = { host: '127.0.0.1', port: target.port, path: target.pathname + target.search }
    const onward = request({ ...options, method: message.method, headers: message.headers }, (from) => {
      reply.writeHead(from.statusCode ?? 502, from.headers)
      from.pipe(reply)
    })
    message.pipe(onward)
  })
  server.on('connect', (message, socket) => {
    seen.push({ authorization: message.headers['proxy-authorization'] })
    socket.on('error', () => undefined)
    if (refuse !== undefined) return socket.end(`HTTP/1.1 ${refuse} No\r\n\r\n`)
    const onward = connect(Number(message.url?.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connected\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
    onward.on('error', () => socket.destroy())
    return socket.once('close', () => onward.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    seen,
    url: `http://user:proxy%20secret@127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
