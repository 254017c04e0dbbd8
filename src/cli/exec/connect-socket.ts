import type { IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import { Problem } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import { pathOf } from '../client/api-client.ts'
import type { Connection } from '../client/connection.ts'
import { explainRefusal } from '../client/explain-refusal.ts'
import { problemOfResponse } from '../client/reply.ts'

export interface ConnectSocket {
  readonly route: 'execInShed' | 'shellInShed'
  readonly name: string
}

/**
 * Opens a WebSocket to the daemon.
 *
 * @throws Problem what the daemon refused it with; SERVER_UNREACHABLE
 */
export async function connectSocket(cli: Cli, { route, name }: ConnectSocket): Promise<WebSocket> {
  const connection = await cli.connection()
  const { url, options } = await connection.webSocket(pathOf(route, { name }))
  const socket = new WebSocket(url, {
    ...options,
    perMessageDeflate: false,
    // A token does not go where a server sends us.
    followRedirects: false,
    // Chunks are bounded by what the daemon reads at once.
    maxPayload: 16 * 2 ** 20,
  })
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket))
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      const { server } = connection
      problemOfResponse(response).then((problem) => reject(explainRefusal(problem, { route, server })), reject)
    })
    socket.on('error', (error) => void unreachable(connection, error).then(reject))
  })
}

async function unreachable({ server }: Connection, error: Error): Promise<Problem> {
  if (server === undefined) {
    return new Problem('SERVER_UNREACHABLE', `cannot talk to the daemon: ${error.message}`, { cause: error })
  }
  const { explainNetworkError } = await import('../client/explain-network-error.ts')
  return explainNetworkError(error, server)
}
