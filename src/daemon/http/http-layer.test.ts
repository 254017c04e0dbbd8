import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Problem } from '../../base/index.ts'
import { allRoutes, type CowshedEvent, openApi, type Shed } from '../../contract/index.ts'
import { createHttpServer } from './create-http-server.ts'
import type { Handlers } from './handlers.ts'
import { listenOnSocket } from './listen-on-socket.ts'

/**
 * The HTTP layer alone, on a real unix socket: its handlers are the rooms' contract in a few lines. What the rooms themselves do is tested
 * with them and with real VMs.
 */
const directory = mkdtempSync(join(tmpdir(), 'cowshed-http-'))
const socketPath = join(directory, 'd.sock')
const stopping = new AbortController()
const logged: { msg: string; err?: { message: string } }[] = []
const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(JSON.parse(line)) })

let handlers: { -readonly [N in keyof Handlers]?: Handlers[N] } = {}
const throughTheLatest = new Proxy({} as Handlers, {
  get: (_, name: keyof Handlers) => (call: never, socket: never) =>
    (handlers[name] as (call: never, socket: never) => unknown)(call, socket),
})
const { app } = createHttpServer({ handlers: throughTheLatest, log, stopping: stopping.signal })

beforeAll(() => listenOnSocket(app, socketPath))
afterAll(async () => {
  stopping.abort()
  await app.close()
  rmSync(directory, { recursive: true })
})
beforeEach(() => {
  handlers = {}
  logged.length = 0
})

interface Ask {
  readonly method?: string
  readonly path: string
  readonly body?: string
  readonly type?: string
  readonly accept?: string
  readonly headers?: Record<string, string>
}

interface Answered {
  readonly status: number
  readonly text: string
  readonly json: () => { error: { code: string; message: string; hint?: string } } & Record<string, unknown>
  readonly type: string
}

function ask({
  method = 'GET',
  path,
  body,
  type = 'application/json',
  accept = '*/*',
  headers = {},
}: Ask): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const sent = request({
      socketPath,
      method,
      path,
      headers: { accept, ...(body === undefined ? {} : { 'content-type': type }), ...headers },
    })
    sent.on('error', reject)
    sent.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          text,
          json: () => JSON.parse(text),
          type: response.headers['content-type'] ?? '',
        }),
      )
    })
    sent.end(body)
  })
}

const shed: Shed = {
  name: 'web',
  id: 'a1',
  status: 'running',
  image: { ref: 'debian:12', manifest_digest: `sha256:${'0'.repeat(64)}` },
  cpus: 1,
  memory_bytes: 2 ** 29,
  upper_bytes: 5 * 2 ** 30,
  rootfs: 'erofs',
  network: 'user',
  env: {},
  labels: {},
  volumes: [],
  secrets: [],
  thermal: { warm_after_ms: 'never', cold_after_ms: 'never', keep_hot: false },
  created_at: '2026-01-01T00:00:00Z',
  changed_at: '2026-01-01T00:00:00Z',
  backend: 'qemu',
  forwards: [],
}

describe('the table of routes', () => {
  test('is what is registered', () => {
    for (const { method, path } of allRoutes())
      expect(app.hasRoute({ method, url: path }), `${method} ${path}`).toBe(true)
    const registered = app.printRoutes({ commonPrefix: false }).match(/\((?:GET|POST|PUT|DELETE|, )+\)/g) ?? []
    const methods = registered.flatMap((list) => list.match(/[A-Z]+/g) ?? [])
    expect(methods).toHaveLength(allRoutes().length)
  })

  test('is what OpenAPI says', () => {
    const { paths } = openApi('1') as { paths: Record<string, Record<string, { operationId: string }>> }
    const described = Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, { operationId }]) => `${operationId} ${method.toUpperCase()} ${path}`),
    )
    const table = allRoutes().map(({ name, method, path }) => `${name} ${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
    expect(described.sort()).toEqual(table.sort())
  })
})

describe('errors', () => {
  test('a route that is not there', async () => {
    const answer = await ask({ path: '/api/nothing?x=1' })
    expect(answer.status).toBe(404)
    expect(answer.json().error).toMatchObject({ code: 'ROUTE_NOT_FOUND', message: 'there is no GET /api/nothing' })
  })

  test('a method that a path does not have', async () => {
    const answer = await ask({ method: 'PUT', path: '/api/sheds', body: '{}' })
    expect(answer.json().error.code).toBe('ROUTE_NOT_FOUND')
  })

  test('a path that cannot be decoded', async () => {
    const answer = await ask({ path: '/api/sheds/%zz' })
    expect([answer.status, answer.json().error.code]).toEqual([400, 'INVALID_REQUEST'])
  })

  test.each([
    ['a name', { path: '/api/sheds/Not%20a%20name' }, 'path field name'],
    ['a missing field', { method: 'POST', path: '/api/sheds', body: '{"name":"a"}' }, 'body field image'],
    [
      'a number',
      { method: 'POST', path: '/api/sheds', body: '{"name":"a","image":"b","cpus":1.5}' },
      'body field cpus',
    ],
    ['a field nobody knows', { method: 'POST', path: '/api/sheds', body: '{"name":"a","image":"b","cpu":1}' }, 'cpu'],
    ['no JSON', { method: 'POST', path: '/api/sheds', body: '{' }, 'JSON'],
    ['a scope', { method: 'POST', path: '/api/system/prune?scope=everything' }, 'query field scope'],
    ['a negative age', { method: 'POST', path: '/api/system/prune?until=-1h' }, 'query field until'],
    ['a flag', { path: '/api/sheds/web/logs?follow=perhaps' }, 'query field follow'],
    ['another media type', { method: 'POST', path: '/api/sheds', body: 'x', type: 'text/html' }, 'Media Type'],
    ['a socket asked for as a page', { path: '/api/sheds/web/exec' }, 'WebSocket'],
  ])('%s that is wrong is refused and named', async (_, asked, named) => {
    const answer = await ask(asked)
    expect([answer.status, answer.json().error.code]).toEqual([400, 'INVALID_REQUEST'])
    expect(answer.json().error.message).toContain(named)
  })

  test('a body that is too large', async () => {
    const answer = await ask({ method: 'POST', path: '/api/sheds', body: `"${'x'.repeat(2 ** 21)}"` })
    expect([answer.status, answer.json().error.code]).toEqual([413, 'PAYLOAD_TOO_LARGE'])
  })

  test('a Problem keeps its code, its hint and its status', async () => {
    handlers.getShed = async () => {
      throw new Problem('SHED_NOT_FOUND', 'there is no shed web', { hint: 'run: cowshed ls', data: { name: 'web' } })
    }
    const answer = await ask({ path: '/api/sheds/web' })
    expect(answer.status).toBe(404)
    expect(answer.json()).toEqual({
      error: {
        code: 'SHED_NOT_FOUND',
        message: 'there is no shed web',
        hint: 'run: cowshed ls',
        data: { name: 'web' },
      },
    })
  })

  test('what nobody foresaw is logged, and the client is told nothing of it', async () => {
    handlers.getShed = async () => {
      throw new TypeError('secret is not a function')
    }
    const answer = await ask({ path: '/api/sheds/web' })
    expect([answer.status, answer.json().error.code]).toEqual([500, 'INTERNAL'])
    expect(answer.text).not.toContain('secret')
    expect(logged[0]?.err?.message).toContain('secret')
  })

  test('bytes that are no HTTP end the connection and nothing else', async () => {
    const answer = await new Promise<string>((resolve) => {
      let text = ''
      const socket = connect(socketPath, () => socket.write('\0\0 nonsense\r\n\r\n'))
      socket.on('data', (chunk) => {
        text += chunk.toString()
      })
      socket.on('close', () => resolve(text))
    })
    expect(answer).toContain('400')
    expect((await ask({ path: '/api/nothing' })).status).toBe(404)
  })
})

describe('answers', () => {
  test('defaults are filled in before the rooms see a request', async () => {
    let seen: unknown
    handlers.createShed = async ({ body }) => {
      seen = body
      return { shed, outcome: 'created' }
    }
    await ask({ method: 'POST', path: '/api/sheds', body: '{"name":"web","image":"debian:12"}' })
    expect(seen).toEqual({ name: 'web', image: 'debian:12', start: true, volumes: [], secrets: [] })
  })

  test('a prune is a dry run unless told otherwise, and its query becomes numbers', async () => {
    const seen: unknown[] = []
    handlers.prune = async ({ query }) => {
      seen.push(query)
      throw new Problem('CANCELLED', 'enough')
    }
    await ask({ method: 'POST', path: '/api/system/prune' })
    await ask({
      method: 'POST',
      path: '/api/system/prune?scope=logs&scope=images&dry_run=false&until=1h30m&log_tail_bytes=0',
    })
    expect(seen).toEqual([
      { dry_run: true, log_tail_bytes: 5 * 2 ** 20 },
      { scope: ['logs', 'images'], dry_run: false, until_ms: 5400e3, log_tail_bytes: 0 },
    ])
  })

  test('a route without a reply answers 204', async () => {
    handlers.deleteShed = async () => {}
    const answer = await ask({ method: 'DELETE', path: '/api/sheds/web?force=true' })
    expect([answer.status, answer.text]).toEqual([204, ''])
  })

  test('an upload reaches the handler as a stream, a JSON body as JSON', async () => {
    const seen: string[] = []
    handlers.loadImage = async ({ body, upload, query }) => {
      if (body !== undefined) seen.push(body.path)
      for await (const chunk of upload ?? []) seen.push(`${chunk.toString()} as ${query.tag}`)
      return { images: [] }
    }
    await ask({ method: 'POST', path: '/api/images/load', body: '{"path":"/a.tar"}' })
    await ask({ method: 'POST', path: '/api/images/load?tag=b', body: 'bytes', type: 'application/x-tar' })
    expect(seen).toEqual(['/a.tar', 'bytes as b'])
  })

  test('a download that fails half way is cut off, not ended', async () => {
    handlers.readLogs = async () => ({
      source: (async function* () {
        yield Buffer.from('half')
        throw new Problem('IO_FAILED', 'the disk is gone')
      })(),
    })
    await expect(ask({ path: '/api/sheds/web/logs' })).rejects.toThrow('aborted')
  })
})

describe('long work', () => {
  test('streams progress and completes', async () => {
    handlers.startShed = async ({ onProgress }) => {
      onProgress({ phase: 'boot', done: 0, total: 2 })
      onProgress({ phase: 'boot', done: 2, total: 2 })
      return shed
    }
    const answer = await ask({ method: 'POST', path: '/api/sheds/web/start', accept: 'text/event-stream' })
    expect(answer.type).toBe('text/event-stream')
    expect(answer.text.split('\n\n').map((event) => event.split('\n')[0])).toEqual([
      'event: progress',
      'event: progress',
      'event: complete',
      '',
    ])
    expect(answer.text).toContain('"status":"running"')
  })

  test('progress is thinned, its last report is not', async () => {
    handlers.startShed = async ({ onProgress }) => {
      for (let done = 0; done <= 10_000; done++) onProgress({ phase: 'unpack', done, total: 10_000 })
      return shed
    }
    const answer = await ask({ method: 'POST', path: '/api/sheds/web/start', accept: 'text/event-stream' })
    expect(answer.text.match(/event: progress/g)?.length).toBeLessThan(1000)
    expect(answer.text).toContain('"done":10000')
  })

  test('goes on without a client that does not read, who gets the newest of its progress and all of its result', async () => {
    const lines = 50_000
    const worked = new Promise<void>((resolve) => {
      handlers.startShed = async ({ onProgress }) => {
        for (let line = 0; line < lines; line++) {
          onProgress({ phase: 'build', done: 0, message: `line ${line} ${'x'.repeat(200)}` })
          for (const item of ['a', 'b']) onProgress({ phase: 'unpack', item, done: line, total: line })
        }
        resolve()
        return shed
      }
    })
    const headers = { accept: 'text/event-stream' }
    const sent = request({ socketPath, method: 'POST', path: '/api/sheds/web/start', headers }).end()
    const response = (await once(sent, 'response'))[0] as IncomingMessage
    await worked
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += chunk
    const read = text.match(/"message":"line /g)?.length ?? 0
    expect(text).toContain(`[${lines - read} lines were not read in time, and are left out]`)
    expect(text).toContain(`"line ${lines - 1} `)
    for (const item of ['a', 'b']) expect(text).toContain(`"item":"${item}","done":${lines - 1},`)
    expect(text.trimEnd().split('\n\n').at(-1)).toMatch(/^event: complete/)
    expect(text.length).toBeLessThan(4 << 20)
  })

  test('streams its error', async () => {
    handlers.startShed = async () => {
      throw new Problem('BOOT_FAILED', 'the guest did not come up', { hint: 'see its console' })
    }
    const answer = await ask({ method: 'POST', path: '/api/sheds/web/start', accept: 'text/event-stream' })
    expect(answer.text).toBe(
      'event: error\ndata: {"error":{"code":"BOOT_FAILED","message":"the guest did not come up","hint":"see its console"}}\n\n',
    )
  })

  test('is refused with a status when the request itself is wrong', async () => {
    const answer = await ask({ method: 'POST', path: '/api/sheds', body: '{}', accept: 'text/event-stream' })
    expect(answer.status).toBe(400)
  })

  test('is aborted when the client goes away', async () => {
    const reason = new Promise<unknown>((resolve) => {
      handlers.createShed = ({ signal, onProgress }) =>
        new Promise((_, reject) => {
          onProgress({ phase: 'boot', done: 0 })
          signal.addEventListener('abort', () => {
            resolve(signal.reason)
            reject(signal.reason)
          })
        })
    })
    const sent = request({
      socketPath,
      method: 'POST',
      path: '/api/sheds',
      headers: { accept: 'text/event-stream', 'content-type': 'application/json' },
    })
    sent.on('error', () => {})
    sent.on('response', (response) => {
      response.on('error', () => {})
      response.once('data', () => sent.destroy())
    })
    sent.end('{"name":"web","image":"debian:12"}')
    expect(await reason).toMatchObject({ code: 'CANCELLED' })
  })
})

describe('events', () => {
  const event = (seq: number): CowshedEvent => ({
    seq,
    at: '2026-01-01T00:00:00Z',
    type: 'shed.started',
    subject: 'web',
    message: 'web',
  })

  test('are a list for those who ask for JSON', async () => {
    handlers.readEvents = async ({ query }) => ({
      past: () => [event((query.after ?? 0) + 1)],
      subscribe: () => () => {},
    })
    const answer = await ask({ path: '/api/events?after=4' })
    expect(answer.json()).toEqual({ events: [event(5)] })
  })

  test('are replayed and then follow, for one that comes back too', async () => {
    let tell: (event: CowshedEvent) => void = () => {}
    let after: number | undefined
    let left = false
    handlers.readEvents = async ({ query }) => ({
      past: () => {
        after = query.after
        return [event(8)]
      },
      subscribe: (listener) => {
        tell = listener
        return () => {
          left = true
        }
      },
    })
    const text = await new Promise<string>((resolve) => {
      let received = ''
      const sent = request({
        socketPath,
        path: '/api/events',
        headers: { accept: 'text/event-stream', 'last-event-id': '7' },
      })
      sent.on('response', (response) => {
        response.on('error', () => {})
        response.setEncoding('utf8').on('data', (chunk: string) => {
          received += chunk
          if (received.includes('id: 8\n') && !received.includes('id: 9\n')) tell(event(9))
          if (received.includes('"seq":9')) {
            sent.destroy()
            resolve(received)
          }
        })
      })
      sent.on('error', () => {})
      sent.end()
    })
    expect(after).toBe(7)
    expect(text.match(/^id: \d+/gm)).toEqual(['id: 8', 'id: 9'])
    await expect.poll(() => left).toBe(true)
  })
})

test('the socket is its owner’s alone', () => {
  expect(statSync(socketPath).mode & 0o777).toBe(0o600)
})
