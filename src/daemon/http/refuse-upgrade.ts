import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Problem } from '../../base/index.ts'
import { errorReply } from './error-reply.ts'

/** Answers a request for a WebSocket as an ordinary one, with what keeps it from becoming one. */
export function refuseUpgrade(stream: Duplex, problem: Problem, headers: Readonly<Record<string, string>> = {}): void {
  const body = JSON.stringify(errorReply(problem))
  const all = {
    'content-type': 'application/json',
    'content-length': `${Buffer.byteLength(body)}`,
    connection: 'close',
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  const status = `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? 'Error'}\r\n`
  stream.end(`${status}${lines.join('')}\r\n${body}`)
}
