import { Agent, type IncomingMessage, request } from 'node:http'
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

/** HTTP over a unix socket, with connections kept for the next request. */
export function unixTransport(socketPath: string): Transport & { close(): void } {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const send: Transport = ({ method, path, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const sent = request({ socketPath, agent, method, path, headers, ...(signal === undefined ? {} : { signal }) })
      sent.once('response', resolve)
      sent.once('error', (error) => reject(unreachable(error, socketPath, signal)))
      if (body === undefined || typeof body === 'string') sent.end(body)
      // A daemon that refuses an upload answers before it has read all: the answer says more than the broken pipe.
      else pipeline(Readable.from(body, { objectMode: false }), sent).catch(() => {})
    })
  return Object.assign(send, { close: () => agent.destroy() })
}

function unreachable(error: Error, socketPath: string, signal: AbortSignal | undefined): Problem {
  // What an upload was read from failed, not the daemon.
  if (isProblem(error)) return error
  if (signal?.aborted === true) return new Problem('CANCELLED', 'interrupted', { cause: error })
  const absent = ['ENOENT', 'ECONNREFUSED'].includes(errnoCode(error) ?? '')
  return new Problem(
    'SERVER_UNREACHABLE',
    absent ? `no daemon listens on ${socketPath}` : `lost the daemon on ${socketPath}: ${error.message}`,
    { hint: 'start one: cowshed serve', cause: error, data: { absent } },
  )
}
