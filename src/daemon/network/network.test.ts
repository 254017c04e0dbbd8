import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { connect as tlsConnect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { freePort } from '../../../test/support/free-port.ts'
import { needs } from '../../../test/support/needs.ts'
import { type TestAuthority, testAuthority } from '../../../test/support/test-authority.ts'
import type { CreateTokenReply } from '../../contract/index.ts'
import type { Handlers } from '../http/handlers.ts'
import { ask, openTestNetwork, sendRaw, type TestNetwork } from './network.testkit.ts'

const handlers: Partial<Handlers> = {
  listSheds: async () => ({ sheds: [] }),
  deleteShed: async () => {},
  listTokens: async () => ({ tokens: [] }),
  readEvents: async () => ({ past: () => [], subscribe: () => () => {} }),
  /** Says back what it hears, and why it ends. */
  execInShed: ({ signal }, socket) =>
    new Promise((resolve) => {
      socket.on('message', (data: Buffer) => socket.send(data.toString()))
      socket.on('close', () => resolve())
      signal.addEventListener('abort', () => socket.close(1011, (signal.reason as Error).message))
    }),
}

const all = (tokens: TestNetwork['tokens'], name = 'all') => tokens.create({ name, readOnly: false })

describe('a daemon on the network', () => {
  test('does not listen without a token, and says what to type; the first one opens it, the last one closes it', async () => {
    await using server = await openTestNetwork(handlers)
    const { port, tokens, network, logged } = server
    await expect(ask({ port })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(network.info()).toMatchObject({ listening: false, reason: expect.stringContaining('cowshed token create') })
    expect(logged).toContainEqual(expect.objectContaining({ hint: expect.stringContaining('cowshed token create') }))

    const { token, name } = await all(tokens)
    await expect.poll(() => network.info()).toEqual({ url: `http://127.0.0.1:${port}`, listening: true })
    expect(await ask({ port, token })).toMatchObject({ status: 200, text: '{"sheds":[]}' })
    await tokens.revoke(name)
    await expect.poll(() => network.info()?.listening).toBe(false)
    await expect(ask({ port, token })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('lets in only who has a token, whatever the path and the verb', async () => {
    await using server = await openTestNetwork(handlers)
    const { port, tokens } = server
    const { token } = await all(tokens)
    for (const path of ['/api/sheds', '/api/openapi.json', '/nothing', '/api/sheds/%zz', '//']) {
      const { status, headers, code } = await ask({ port, path })
      expect([status, code, headers['www-authenticate']], path).toEqual([401, 'UNAUTHORIZED', 'Bearer realm="cowshed"'])
    }
    expect(await ask({ port, method: 'POST', body: 'x'.repeat(10) })).toMatchObject({ status: 401 })
    const wrong = ['x', token.toUpperCase(), token.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))]
    const refused = await Promise.all(wrong.map((guess) => ask({ port, token: guess })))
    for (const { status, headers } of refused) {
      expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer realm="cowshed", error="invalid_token"'])
    }
    expect(await ask({ port, headers: { authorization: `Basic ${btoa(`x:${token}`)}` } })).toMatchObject({
      status: 401,
    })
    expect(await ask({ port, headers: { authorization: `bearer  ${token}` } })).toMatchObject({ status: 200 })
  })

  test('what may only look looks, and nobody makes tokens from afar', async () => {
    await using server = await openTestNetwork(handlers)
    const { port, tokens } = server
    const looks = await tokens.create({ name: 'looks', readOnly: true })
    const { token } = await all(tokens)
    expect(await ask({ port, token: looks.token })).toMatchObject({ status: 200 })
    const remove = { port, method: 'DELETE', path: '/api/sheds/web' }
    expect(await ask({ ...remove, token: looks.token })).toMatchObject({ status: 403, code: 'FORBIDDEN' })
    expect(await ask({ ...remove, token })).toMatchObject({ status: 204 })
    expect(await ask({ port, token, path: '/api/tokens' })).toMatchObject({ status: 403, code: 'FORBIDDEN' })
    expect(await refusedSocket(port, looks.token)).toMatchObject({ status: 403 })
    expect(await refusedSocket(port, undefined)).toMatchObject({ status: 401, challenge: 'Bearer realm="cowshed"' })
    expect(await refusedSocket(port, 'x')).toMatchObject({ status: 401 })
  })

  test('what is under way with a token ends when it is revoked, and what is under way with another does not', async () => {
    await using server = await openTestNetwork(handlers)
    const { port, tokens } = server
    const [gone, stays] = [await all(tokens, 'gone'), await all(tokens, 'stays')]
    const [socket, other] = [await openSocket(port, gone), await openSocket(port, stays)]
    const stream = request({
      host: '127.0.0.1',
      port,
      path: '/api/events',
      headers: { accept: 'text/event-stream', authorization: `Bearer ${gone.token}` },
    })
    stream.end()
    const [response] = (await once(stream, 'response')) as [NodeJS.ReadableStream]
    response.resume()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const onOne = () => keptStatus(agent, port, gone.token)
    expect(await onOne()).toBe(200)

    const ended = Promise.all([once(response, 'end'), once(socket, 'close')])
    await tokens.revoke('gone')
    const [, [code, reason]] = (await ended) as [unknown, [number, Buffer]]
    expect([code, reason.toString()]).toEqual([1011, 'the token was revoked'])
    expect(await onOne()).toBe(401)
    agent.destroy()
    other.send('still here')
    expect(await nextMessage(other)).toBe('still here')
    other.terminate()
  })

  test('a right token waits for nothing while wrong ones do, and too many of those are told at once', async () => {
    await using server = await openTestNetwork(handlers)
    const { port, tokens } = server
    const { token } = await all(tokens)
    const answered: string[] = []
    const guess = () => ask({ port, token: 'cowshed_wrong' }).then(({ status }) => answered.push(`${status}`))
    const guesses = Array.from({ length: 9 }, guess)
    await expect.poll(() => answered).toContain('429')
    expect(await ask({ port, token })).toMatchObject({ status: 200 })
    // Eight of them wait, the last for five seconds: nobody has to see that.
    expect(answered.filter((status) => status === '401').length).toBeLessThan(8)
    void Promise.allSettled(guesses)
  })

  test('garbage, endless headers and too large bodies are refused, and others are served', async () => {
    await using server = await openTestNetwork(handlers)
    const { port, tokens } = server
    const { token } = await all(tokens)
    expect(await sendRaw(port, '\x16\x03\x01\x02\x00 this is no HTTP \r\n\r\n')).toContain('400 Bad Request')
    expect(await sendRaw(port, `GET / HTTP/1.1\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`)).toContain('431')
    const smuggled = `POST /api/sheds HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`
    expect(await sendRaw(port, smuggled)).toContain('400 Bad Request')
    // Refused before its body is asked for, and what follows on the connection is not heard.
    const pipelined = `POST /api/sheds HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nGET /api/sheds HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`
    const answer = await sendRaw(port, pipelined)
    expect(answer).toContain('401 Unauthorized')
    expect(answer).not.toMatch(/100 Continue|200 OK/)
    const large = JSON.stringify({ image: 'x'.repeat(2 ** 20) })
    expect(await ask({ port, token, method: 'POST', body: large })).toMatchObject({ status: 413 })
    expect(await ask({ port, token })).toMatchObject({ status: 200 })
  })

  test.each([
    [{ listen: '0.0.0.0:7443' }, /tokens would go over the network as they are/, /--tls-cert FILE --tls-key FILE/],
    [{ listen: '*:7443' }, /as they are/, /--allow-plain-http/],
    [{ listen: '7443' }, /not an address to listen on/, /192\.0\.2\.5:7443/],
    [{ listen: '::1:7443' }, /not an address/, /\[::1\]:7443/],
    [{ listen: '127.0.0.1:70000' }, /not an address/, /./],
    [
      { listen: '127.0.0.1:1', tls: { cert: '/nonexistent', key: '/nonexistent' } },
      /cannot read \/nonexistent/,
      /tls\.cert/,
    ],
  ])('%j is refused before anything listens', async (settings, message, hint) => {
    const refused = await openTestNetwork(handlers, settings).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(refused).toMatchObject({
      code: 'SETTINGS_INVALID',
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    })
  })

  test('what is allowed without TLS off this host is said loudly', async () => {
    await using server = await openTestNetwork(handlers, { listen: `0.0.0.0:${await freePort()}`, plain_http: true })
    await all(server.tokens)
    await expect.poll(() => server.network.info()?.listening).toBe(true)
    expect(server.logged).toContainEqual(
      expect.objectContaining({ level: 40, msg: expect.stringContaining('PLAIN HTTP') }),
    )
  })

  test('a port that is taken is named, in the token that would have opened it too', async () => {
    await using first = await openTestNetwork(handlers)
    await all(first.tokens)
    await expect.poll(() => first.network.info()?.listening).toBe(true)
    await using second = await openTestNetwork(handlers, { listen: `127.0.0.1:${first.port}` })
    await all(second.tokens)
    await expect.poll(() => second.network.info()?.reason).toContain('another program listens')
  })
})

describe.runIf(needs({ tools: ['openssl'] }))('with TLS', () => {
  let authority: TestAuthority
  beforeAll(async () => {
    authority = await testAuthority()
  })
  afterAll(async () => await authority[Symbol.asyncDispose]())

  test('requests and WebSockets go through the same check', async () => {
    await using server = await openTestNetwork(handlers, { tls: await authority.issue('server') })
    const { port, tokens, network } = server
    const made = await all(tokens)
    await expect.poll(() => network.info()).toMatchObject({ url: `https://127.0.0.1:${port}`, listening: true })
    const ca = await readFile(authority.ca)
    expect(await ask({ port, token: made.token, ca })).toMatchObject({ status: 200 })
    expect(await ask({ port, ca })).toMatchObject({ status: 401 })
    expect(await refusedSocket(port, undefined, ca)).toMatchObject({ status: 401 })
    const socket = await openSocket(port, made, ca)
    socket.send('over TLS')
    expect(await nextMessage(socket)).toBe('over TLS')
    socket.terminate()
    // Whoever is not trusted, speaks no TLS or goes away in the middle of it harms nobody.
    await expect(ask({ port, token: made.token, ca: '' })).rejects.toThrow(/certificate/)
    await sendRaw(port, 'GET / HTTP/1.1\r\n\r\n')
    await sendRaw(port, Buffer.of(0x16, 3, 1, 0xff, 0xff, 1))
    expect(await ask({ port, token: made.token, ca })).toMatchObject({ status: 200 })
  })

  test('a certificate that was replaced is taken up, and one that is broken is not', async () => {
    const [first, second] = [await authority.issue('first'), await authority.issue('second')]
    await using server = await openTestNetwork(handlers, { tls: first })
    const { port, tokens, network, logged } = server
    await all(tokens)
    await expect.poll(() => network.info()?.listening).toBe(true)
    expect(await subjectAt(port)).toBe('first')
    await writeFile(first.cert, await readFile(second.cert))
    await network.reload()
    expect(logged.at(-1)?.msg).toContain('goes on with the one that it has')
    await writeFile(first.key, await readFile(second.key))
    await network.reload()
    expect(await subjectAt(port)).toBe('second')
  })

  test('a key of another certificate is refused, and an expired one is warned of', async () => {
    const [one, two] = [await authority.issue('one'), await authority.issue('two', { days: -1 })]
    await expect(openTestNetwork(handlers, { tls: { cert: one.cert, key: two.key } })).rejects.toMatchObject({
      code: 'SETTINGS_INVALID',
      message: expect.stringContaining('is not the key of'),
    })
    await expect(openTestNetwork(handlers, { tls: { cert: one.key, key: one.key } })).rejects.toMatchObject({
      message: expect.stringContaining('is not a certificate in PEM'),
    })
    await using server = await openTestNetwork(handlers, { tls: two })
    expect(server.logged).toContainEqual(expect.objectContaining({ msg: expect.stringContaining('has expired') }))
  })
})

function socketAt(port: number, token: string | undefined, ca?: Buffer): WebSocket {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const url = `${ca === undefined ? 'ws' : 'wss'}://127.0.0.1:${port}/api/sheds/web/exec`
  return new WebSocket(url, { headers, ...(ca === undefined ? {} : { ca }) })
}

async function openSocket(port: number, { token }: CreateTokenReply, ca?: Buffer): Promise<WebSocket> {
  const socket = socketAt(port, token, ca)
  await once(socket, 'open')
  return socket
}

async function nextMessage(socket: WebSocket): Promise<string> {
  const [data] = (await once(socket, 'message')) as [Buffer]
  return data.toString()
}

async function refusedSocket(port: number, token: string | undefined, ca?: Buffer) {
  const socket = socketAt(port, token, ca)
  socket.on('error', () => {})
  const [, response] = (await once(socket, 'unexpected-response')) as [
    unknown,
    { statusCode: number; headers: Record<string, string> },
  ]
  socket.terminate()
  return { status: response.statusCode, challenge: response.headers['www-authenticate'] }
}

function keptStatus(agent: Agent, port: number, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({
      host: '127.0.0.1',
      port,
      agent,
      path: '/api/sheds',
      headers: { authorization: `Bearer ${token}` },
    })
    sent.on('response', (response) => response.resume().on('end', () => resolve(response.statusCode ?? 0)))
    sent.on('error', reject).end()
  })
}

async function subjectAt(port: number): Promise<string> {
  const socket = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}
