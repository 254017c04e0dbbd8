import { once, setMaxListeners } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer, request as tlsRequest } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestRegistry } from './registry.ts'
import type { Certificate } from './registry-certificate.ts'

/** What happens to one exchange. Bytes are those of the reply's body, `after` so many of them. */
export type Fault =
  /** The connection is reset. */
  | { readonly kind: 'reset'; readonly after: number }
  /** The connection is reset while the request's body comes in; the registry gets what came before. */
  | { readonly kind: 'reset-request'; readonly after: number }
  /** Nothing more comes, and nothing ends. */
  | { readonly kind: 'stall'; readonly after: number }
  /** The body ends as if it were whole. */
  | { readonly kind: 'short'; readonly after: number }
  /** More comes after the body. */
  | { readonly kind: 'long'; readonly extra: number }
  /** The byte at that offset is another. */
  | { readonly kind: 'corrupt'; readonly at: number }
  /** The registry never hears of the Range: 200 and the whole. */
  | { readonly kind: 'ignore-range' }
  /** The reply has these headers instead of its own; undefined takes one away. */
  | { readonly kind: 'headers'; readonly headers: Readonly<Record<string, string | undefined>> }
  /** The registry is not asked. */
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly headers?: Record<string, string>
      readonly body?: string
    }
  /** The body comes so slowly. */
  | { readonly kind: 'trickle'; readonly bytesPerSecond: number }
  /** The registry does what it is told, and the connection is reset before anyone hears of it. */
  | { readonly kind: 'lose-reply' }
  /** The same, but nobody hears anything. */
  | { readonly kind: 'stall-reply' }

/** Which exchanges a fault happens to; whatever is left out matches. */
export interface Matching {
  readonly method?: string
  readonly path?: RegExp
  /** Of the header; one without it does not match. */
  readonly range?: RegExp
  /** So many that match are spared first. */
  readonly skip?: number
  /** How often; once unless told. */
  readonly times?: number
}

export interface SeenRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

export interface FaultProxy {
  /** `127.0.0.1:port`: a registry like the one behind it. */
  readonly host: string
  readonly url: string
  readonly requests: SeenRequest[]
  fault(matching: Matching, fault: Fault): void
  /** Every exchange, until set otherwise: a network that is far away. */
  readonly network: { delayMs: number; bytesPerSecond: number }
  /** Forgets faults that have not happened yet, and the requests seen. */
  clear(): void
  [Symbol.asyncDispose](): Promise<void>
}

/** An HTTP server that passes everything on to a registry, and makes go wrong what it is told to. */
export async function startFaultProxy(target: ProxyTarget): Promise<FaultProxy> {
  const proxy = new Forwarder(target)
  await proxy.listen()
  return proxy
}

/** A registry, or anything at a URL. The proxy speaks what it speaks, with the same certificate. */
export type ProxyTarget = Pick<TestRegistry, 'url'> & { readonly certificate?: Certificate | undefined }

interface Planned {
  readonly matching: Matching
  readonly fault: Fault
  skip: number
  times: number
}

interface Exchange {
  readonly message: IncomingMessage
  readonly reply: ServerResponse
  readonly fault: Fault | undefined
}

class Forwarder implements FaultProxy {
  readonly requests: SeenRequest[] = []
  readonly network = { delayMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY }
  readonly #target: ProxyTarget
  readonly #tls: boolean
  readonly #server: Server
  readonly #ended = new AbortController()
  #planned: Planned[] = []

  constructor(target: ProxyTarget) {
    this.#target = target
    setMaxListeners(0, this.#ended.signal)
    this.#tls = target.url.startsWith('https:')
    const { certificate } = target
    const keys = certificate === undefined ? {} : { cert: certificate.pem, key: certificate.keyPem }
    this.#server = this.#tls ? createTlsServer(keys) : createServer()
    this.#server.on('request', (message: IncomingMessage, reply: ServerResponse) => {
      // Whichever side goes away in the middle of an exchange ends it on the other.
      this.#exchange(message, reply).catch(() => message.socket.destroy())
    })
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get url(): string {
    return `${this.#tls ? 'https' : 'http'}://${this.host}`
  }

  fault(matching: Matching, fault: Fault): void {
    this.#planned.push({ matching, fault, skip: matching.skip ?? 0, times: matching.times ?? 1 })
  }

  clear(): void {
    this.#planned = []
    this.requests.length = 0
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort()
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #exchange(message: IncomingMessage, reply: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/', headers } = message
    this.requests.push({ method, path, headers: { ...headers } })
    const fault = this.#take({ method, path, headers })
    if (this.network.delayMs > 0) await sleep(this.network.delayMs, undefined, { signal: this.#ended.signal })
    if (fault?.kind === 'answer') await answer(message, reply, fault)
    else await this.#passOn({ message, reply, fault })
  }

  #take({ method, path, headers }: SeenRequest): Fault | undefined {
    const planned = this.#planned.find(
      ({ matching, times }) =>
        times > 0 &&
        (matching.method ?? method) === method &&
        (matching.path?.test(path) ?? true) &&
        (matching.range?.test(headers.range ?? '') ?? true),
    )
    if (planned === undefined) return undefined
    if (planned.skip > 0) {
      planned.skip--
      return undefined
    }
    planned.times--
    return planned.fault
  }

  async #passOn({ message, reply, fault }: Exchange): Promise<void> {
    const headers = { ...message.headers }
    if (fault?.kind === 'ignore-range') delete headers.range
    const options = { method: message.method, headers, agent: false }
    const url = new URL(message.url ?? '/', this.#target.url)
    const onward = this.#tls
      ? tlsRequest(url, { ...options, ca: this.#target.certificate?.pem })
      : request(url, options)
    const answered = once(onward, 'response') as Promise<[IncomingMessage]>
    answered.catch(() => undefined)
    let sent = 0
    for await (const chunk of message as AsyncIterable<Buffer>) {
      if (fault?.kind === 'reset-request' && sent + chunk.length >= fault.after) {
        onward.write(chunk.subarray(0, fault.after - sent), () => onward.destroy())
        reset(message.socket)
        return
      }
      sent += chunk.length
      if (!onward.write(chunk)) await once(onward, 'drain')
    }
    onward.end()
    const [from] = await answered
    if (fault?.kind === 'lose-reply' || fault?.kind === 'stall-reply') {
      onward.destroy()
      // A stalled exchange ends with the proxy.
      if (fault.kind === 'lose-reply') reset(message.socket)
    } else await this.#reply({ message, reply, fault }, from)
  }

  async #reply({ message, reply, fault }: Exchange, from: IncomingMessage): Promise<void> {
    reply.writeHead(from.statusCode ?? 502, replyHeaders(from, fault))
    reply.flushHeaders()
    const limit = fault !== undefined && 'after' in fault ? fault.after : Number.POSITIVE_INFINITY
    const rate = fault?.kind === 'trickle' ? fault.bytesPerSecond : this.network.bytesPerSecond
    let done = 0
    for await (const chunk of from as AsyncIterable<Buffer>) {
      const piece = faulty(chunk.subarray(0, Math.max(0, limit - done)), done, fault)
      done += piece.length
      await this.#write(reply, piece, rate)
      if (done < limit) continue
      if (fault?.kind === 'reset') reset(message.socket)
      // A stalled exchange ends with the proxy.
      if (fault?.kind === 'reset' || fault?.kind === 'stall') return
      break
    }
    if (fault?.kind === 'long') reply.write(Buffer.alloc(fault.extra))
    reply.end()
  }

  async #write(reply: ServerResponse, bytes: Buffer, bytesPerSecond: number): Promise<void> {
    const step =
      bytesPerSecond === Number.POSITIVE_INFINITY ? bytes.length : Math.max(1, Math.ceil(bytesPerSecond / 50))
    for (let at = 0; at < bytes.length; at += step) {
      const piece = bytes.subarray(at, at + step)
      const pause = (piece.length / bytesPerSecond) * 1000
      if (pause > 0) await sleep(pause, undefined, { signal: this.#ended.signal })
      if (reply.destroyed) throw new Error('the client went away')
      if (!reply.write(piece)) await drained(reply)
    }
  }
}

async function answer(
  message: IncomingMessage,
  reply: ServerResponse,
  { status, headers = {}, body = '' }: Extract<Fault, { kind: 'answer' }>,
): Promise<void> {
  message.resume()
  if (!message.complete) await once(message, 'end')
  reply.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers })
  reply.end(message.method === 'HEAD' ? undefined : body)
}

/**
 * A socket that is being shut down, because the client has gone away meanwhile, cannot be reset: Node takes it for closed then and never closes it, and the
 * thread that has it spins when it is to end (TCPWrap::Reset; uv_tcp_close_reset gives EINVAL).
 */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

function replyHeaders(from: IncomingMessage, fault: Fault | undefined): Record<string, string | string[]> {
  const headers = Object.entries(from.headers).filter(([name]) => name !== 'connection' && name !== 'keep-alive')
  const changed: Record<string, string | string[] | undefined> = Object.fromEntries(headers)
  // Without its length, the end of a body is where the chunks end.
  if (fault?.kind === 'short' || fault?.kind === 'long') delete changed['content-length']
  if (fault?.kind === 'headers') Object.assign(changed, fault.headers)
  return Object.fromEntries(
    Object.entries(changed).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}

function faulty(chunk: Buffer, offset: number, fault: Fault | undefined): Buffer {
  if (fault?.kind !== 'corrupt') return chunk
  const at = fault.at - offset
  if (at < 0 || at >= chunk.length) return chunk
  const changed = Buffer.from(chunk)
  changed[at] = (changed[at] ?? 0) ^ 0x55
  return changed
}

/** A client that goes away ends it as well. */
async function drained(reply: ServerResponse): Promise<void> {
  const heard = new AbortController()
  const listening = ['drain', 'close'].map((event) => once(reply, event, { signal: heard.signal }))
  try {
    await Promise.race(listening)
  } finally {
    for (const one of listening) one.catch(() => undefined)
    heard.abort()
  }
}
