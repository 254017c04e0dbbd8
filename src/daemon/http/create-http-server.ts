import type { IncomingMessage } from 'node:http'
import fastify, { type FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { Problem } from '../../base/index.ts'
import { callerOf } from '../access/callers.ts'
import { errorReply, isUnforeseen, problemForClient } from './error-reply.ts'
import type { Handlers } from './handlers.ts'
import { registerRoutes } from './register-routes.ts'
import { replyText } from './reply-text.ts'
import { type UpgradedSockets, upgradeSockets } from './upgrade-sockets.ts'

export interface CreateHttpServer {
  readonly handlers: Handlers
  readonly log: Logger
  /** Aborted when the daemon stops: work that can be aborted is. */
  readonly stopping: AbortSignal
}

/** JSON bodies are small: names, settings, environments. */
const bodyLimit = 2 ** 20

export interface HttpServer {
  readonly app: FastifyInstance
  readonly sockets: UpgradedSockets
}

/** The API as an HTTP server that does not listen yet. */
export function createHttpServer({ handlers, log, stopping }: CreateHttpServer): HttpServer {
  const app = fastify({
    bodyLimit,
    exposeHeadRoutes: false,
    // Uploads and streams last as long as they last.
    requestTimeout: 0,
    keepAliveTimeout: 30_000,
    forceCloseConnections: 'idle',
    // URLs that cannot be decoded never reach a handler.
    frameworkErrors: (error, _request, reply) => {
      const problem = problemForClient(error)
      reply.raw.writeHead(problem.status, { 'content-type': 'application/json' })
      reply.raw.end(JSON.stringify(errorReply(problem)))
    },
    routerOptions: { maxParamLength: 256 },
  })
  const logUnforeseen = (error: unknown, what: string) => {
    if (isUnforeseen(error)) log.error({ err: error, what }, 'unforeseen error')
    else log.debug({ code: problemForClient(error).code, what }, problemForClient(error).message)
  }

  app.setReplySerializer(replyText)
  app.setErrorHandler((error, request, reply) => {
    const problem = problemForClient(error)
    logUnforeseen(error, `${request.method} ${request.url}`)
    return reply.code(problem.status).send(errorReply(problem))
  })
  app.setNotFoundHandler((request, reply) => {
    const problem = new Problem('ROUTE_NOT_FOUND', `there is no ${request.method} ${request.url.split('?')[0]}`, {
      hint: 'GET /api/openapi.json lists what there is',
    })
    return reply.code(problem.status).send(errorReply(problem))
  })
  app.addHook('onResponse', (request, reply, done) => {
    log.debug(
      {
        method: request.method,
        url: request.url,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        ...tokenOf(request.raw),
      },
      'answered',
    )
    done()
  })
  const onError = (error: unknown, route: { name: string }) => logUnforeseen(error, route.name)
  registerRoutes({ app, handlers, stopping, onStreamedError: onError })
  const sockets = upgradeSockets({ handlers, stopping, onError })
  app.server.on('upgrade', sockets.upgrade)
  return { app, sockets }
}

/** Whose it was, of what came over the network. */
function tokenOf(request: IncomingMessage): { token?: string } {
  const caller = callerOf(request)
  return caller === undefined ? {} : { token: caller.name }
}
