import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import { Problem } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import { pathOf } from '../client/api-client.ts'
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
  const socketPath = (await cli.socketPath({ start: true })) ?? ''
  const socket = new WebSocket(`ws://localhost${pathOf(route, { name })}`, {
    createConnection: () => connect(socketPath),
    perMessageDeflate: false,
    // Chunks are bounded by what the daemon reads at once.
    maxPayload: 16 * 2 ** 20,
  })
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket))
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      problemOfResponse(response).then(reject, reject)
    })
    socket.on('error', (error) =>
      reject(
        new Problem('SERVER_UNREACHABLE', `cannot talk to the daemon on ${socketPath}: ${error.message}`, {
          cause: error,
        }),
      ),
    )
  })
}
