import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { errnoCode, isProblem, Problem } from '../../base/index.ts'

export interface HttpRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | AsyncIterable<Uint8Array> | undefined
  readonly signal: AbortSignal | undefined
}

/**
 * Sends a request and resolves with the answer's head, whatever its status.
 *
 * @throws Problem SERVER_UNREACHABLE when nobody listens or the connection breaks; CANCELLED when the signal aborts
 */
export type Transport = (request: HttpRequest) => Promise<IncomingMessage>

export interface ClosableTransport extends Transport {
  close(): void
}

/** HTTP over a unix socket, with connections kept for the next request. */
export function unixTransport(socketPath: string): ClosableTransport {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const send: Transport = (asked) =>
    exchange(request({ socketPath, agent, ...headOf(asked) }), asked, (error) => unreachable(error, socketPath))
  return Object.assign(send, { close: () => agent.destroy() })
}

/** What of a request Node's own takes. */
export function headOf({ method, path, headers, signal }: HttpRequest) {
  return { method, path, headers, ...(signal === undefined ? {} : { signal }) }
}

/** Sends the body of a request that was begun, and waits for the head of the answer. */
export function exchange(
  sent: ClientRequest,
  { body, signal }: HttpRequest,
  explain: (error: Error) => Problem,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.once('response', resolve)
    sent.on('error', (error) => reject(problemOf(error, signal, explain)))
    if (body === undefined || typeof body === 'string') sent.end(body)
    // A daemon that refuses an upload answers before it has read all: the answer says more than the broken pipe.
    else pipeline(Readable.from(body, { objectMode: false }), sent).catch(() => {})
  })
}

function problemOf(error: Error, signal: AbortSignal | undefined, explain: (error: Error) => Problem): Problem {
  // What an upload was read from failed, not the daemon.
  if (isProblem(error)) return error
  if (signal?.aborted !== true) return explain(error)
  return isProblem(signal.reason) ? signal.reason : new Problem('CANCELLED', 'interrupted', { cause: error })
}

function unreachable(error: Error, socketPath: string): Problem {
  const absent = ['ENOENT', 'ECONNREFUSED'].includes(errnoCode(error) ?? '')
  return new Problem(
    'SERVER_UNREACHABLE',
    absent ? `no daemon listens on ${socketPath}` : `lost the daemon on ${socketPath}: ${error.message}`,
    { hint: 'start one: cowshed serve', cause: error, data: { absent } },
  )
}
