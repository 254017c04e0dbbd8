import { request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import { freePort } from '../../../test/support/free-port.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { dataLayout } from '../../base/index.ts'
import { openTokens, type Tokens } from '../access/tokens.ts'
import { createHttpServer } from '../http/create-http-server.ts'
import type { Handlers } from '../http/handlers.ts'
import type { NetworkSettings } from '../settings/network-settings.ts'
import { type Network, openNetwork } from './open-network.ts'

export interface TestNetwork extends AsyncDisposable {
  readonly directory: TemporaryDirectory
  readonly network: Network
  readonly tokens: Tokens
  readonly port: number
  readonly logged: { readonly level: number; readonly msg: string }[]
}

/** A daemon's HTTP on a real port, in front of handlers of the test's, with real tokens in a directory of its own. */
export async function openTestNetwork(
  handlers: Partial<Handlers>,
  settings: Partial<NetworkSettings> = {},
): Promise<TestNetwork> {
  const directory = await temporaryDirectory()
  const logged: { level: number; msg: string }[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(JSON.parse(line)) })
  const stopping = new AbortController()
  const { app, sockets } = createHttpServer({ handlers: handlers as Handlers, log, stopping: stopping.signal })
  await app.ready()
  const tokens = await openTokens({ layout: dataLayout(join(directory.path)) })
  const port = await freePort()
  const close = async (network?: Network) => {
    stopping.abort()
    await network?.close(0)
    await tokens.close()
    await app.close()
    await directory[Symbol.asyncDispose]()
  }
  const given = { listen: `127.0.0.1:${port}`, plain_http: false, ...settings }
  const network = await openNetwork({ settings: given, tokens, app, sockets, log }).catch(async (error: unknown) => {
    await close()
    throw error
  })
  return {
    directory,
    network,
    tokens,
    port,
    logged,
    [Symbol.asyncDispose]: () => close(network),
  }
}

export interface Ask {
  readonly port: number
  readonly path?: string
  readonly method?: string
  readonly token?: string | undefined
  readonly ca?: string | Buffer
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly code: string | undefined
}

/** One request on a connection of its own; over TLS when there is an authority to trust. */
export function ask({
  port,
  path = '/api/sheds',
  method = 'GET',
  token,
  ca,
  body,
  headers = {},
}: Ask): Promise<Answer> {
  const bearer = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  const options = { host: '127.0.0.1', port, path, method, headers: { ...bearer, ...type, ...headers }, agent: false }
  return new Promise((resolve, reject) => {
    const sent = ca === undefined ? plainRequest(options) : tlsRequest({ ...options, ca })
    sent.on('error', reject)
    sent.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, code: codeOf(text) }),
      )
    })
    sent.end(body)
  })
}

function codeOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { error?: { code?: string } }).error?.code
  } catch {
    return undefined
  }
}

/** Sends bytes as they are. @returns all that was answered before the connection ended */
export function sendRaw(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes))
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
  })
}
