import type { Server } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { ServerInfo } from '../../contract/index.ts'
import { failedAttempts } from '../access/failed-attempts.ts'
import type { Tokens } from '../access/tokens.ts'
import { problemForClient } from '../http/error-reply.ts'
import type { UpgradedSockets } from '../http/upgrade-sockets.ts'
import type { NetworkSettings } from '../settings/network-settings.ts'
import { guardRequests } from './guard-requests.ts'
import { listenOn } from './listen-on.ts'
import { closeServer, makeNetworkServer, useIdentity } from './network-server.ts'
import { networkUrl } from './network-url.ts'
import { type ListenAddress, parseListen } from './parse-listen.ts'
import { readTlsFiles, type TlsFiles, type TlsIdentity } from './read-tls-files.ts'
import { refusePlainHttp } from './refuse-plain-http.ts'

export interface OpenNetwork {
  readonly settings: NetworkSettings
  readonly tokens: Tokens
  readonly app: FastifyInstance
  readonly sockets: UpgradedSockets
  readonly log: Logger
}

export interface Network {
  /** Where it listens, or why it does not. */
  info(): ServerInfo['network']
  /** Reads the certificate and its key again; without success it goes on with what it has. */
  reload(): Promise<void>
  close(graceMs: number): Promise<void>
}

/** Those whose token was the last are told that it was revoked. */
const revokedGraceMs = 5000

/**
 * Listens on the network for as long as there is a token: with none nobody could be let in, and it says what to type. The first token that is
 * made opens it, the last one that is revoked closes it.
 *
 * @throws Problem SETTINGS_INVALID, PORT_IN_USE
 */
export async function openNetwork({ settings, tokens, app, sockets, log }: OpenNetwork): Promise<Network> {
  const address = parseListen(settings.listen)
  refusePlainHttp(settings, address)
  let identity = await readIdentity(settings.tls, log)
  const attempts = failedAttempts()
  let server: Server | undefined
  let bound: ListenAddress = address
  let problem: string | undefined

  const start = async () => {
    const opened = makeNetworkServer(identity)
    guardRequests({ server: opened, app, sockets, tokens, attempts, log })
    bound = await listenOn(opened, address)
    server = opened
    problem = undefined
    const url = networkUrl({ address: bound, tls: identity !== undefined })
    if (identity === undefined)
      log.warn({ url }, 'PLAIN HTTP: whoever sees the traffic sees the tokens, and can use them')
    log.info({ url }, 'listening on the network')
  }
  let ending: Promise<unknown> = Promise.resolve()
  const stop = (graceMs: number) => {
    if (server !== undefined) ending = Promise.all([ending, closeServer(server, graceMs)])
    server = undefined
  }
  const follow = async () => {
    if (tokens.count > 0 && server === undefined) await start()
    if (tokens.count > 0) return
    problem = 'there is no token: cowshed token create --name NAME'
    log.error(
      { listen: settings.listen, hint: 'run: cowshed token create --name NAME' },
      'not listening on the network: there is no token, so nobody could be let in',
    )
    stop(revokedGraceMs)
  }

  await follow()
  let turn = Promise.resolve()
  tokens.onChange(() => {
    turn = turn.then(follow).catch((error: unknown) => {
      problem = problemForClient(error).message
      log.error({ err: error }, 'cannot listen on the network')
    })
    return turn
  })
  return {
    info() {
      const url = networkUrl({ address: bound, tls: identity !== undefined })
      return { url, listening: server !== undefined, ...(problem === undefined ? {} : { reason: problem }) }
    },
    async reload() {
      if (settings.tls === undefined) return
      try {
        identity = await readIdentity(settings.tls, log)
        if (server !== undefined && identity !== undefined) useIdentity(server, identity)
        log.info({ cert: settings.tls.cert, validTo: identity?.validTo }, 'read the certificate again')
      } catch (error) {
        log.error({ err: error }, 'cannot read the certificate again: it goes on with the one that it has')
      }
    },
    async close(graceMs) {
      await turn
      stop(graceMs)
      await ending
    },
  }
}

async function readIdentity(files: TlsFiles | undefined, log: Logger): Promise<TlsIdentity | undefined> {
  if (files === undefined) return undefined
  const identity = await readTlsFiles(files)
  if (identity.validTo.getTime() < Date.now()) {
    log.warn({ cert: files.cert, validTo: identity.validTo }, 'the certificate has expired: clients will refuse it')
  }
  return identity
}
