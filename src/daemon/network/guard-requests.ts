import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { isProblem, Problem } from '../../base/index.ts'
import { admit, challengeOf, isGuess } from '../access/admit.ts'
import { setCaller } from '../access/callers.ts'
import type { FailedAttempts } from '../access/failed-attempts.ts'
import type { Tokens } from '../access/tokens.ts'
import { errorReply } from '../http/error-reply.ts'
import { refuseUpgrade } from '../http/refuse-upgrade.ts'
import type { UpgradedSockets } from '../http/upgrade-sockets.ts'
import { limitBody } from './limit-body.ts'

export interface GuardRequests {
  readonly server: Server
  readonly app: FastifyInstance
  readonly sockets: UpgradedSockets
  readonly tokens: Pick<Tokens, 'check'>
  readonly attempts: FailedAttempts
  readonly log: Logger
}

/** Lets through what comes over the network with a token, to the same routes as over the unix socket; nothing else gets as far as a route. */
export function guardRequests({ server, app, sockets, tokens, attempts, log }: GuardRequests): void {
  const refuseInTime = async (request: IncomingMessage, problem: Problem, refuse: (problem: Problem) => void) => {
    if (!isGuess(problem, request)) return refuse(problem)
    const address = request.socket.remoteAddress ?? ''
    const refused = (await attempts.wait(address)) ? problem : tooMany()
    log.warn({ address, code: refused.code }, 'a wrong token')
    refuse(refused)
  }

  const answer = (request: IncomingMessage, response: ServerResponse, begin = () => {}) => {
    const problem = letIn(tokens, request)
    if (problem !== undefined) {
      void refuseInTime(request, problem, (refused) => refuseRequest(request, response, refused))
      return
    }
    limitBody(request)
    begin()
    app.routing(request, response)
  }
  server.on('request', answer)
  // Without a token not even the body is asked for.
  server.on('checkContinue', (request, response) => answer(request, response, () => response.writeContinue()))
  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    stream.on('error', () => stream.destroy())
    const problem = letIn(tokens, request)
    if (problem === undefined) return sockets.upgrade(request, stream, head)
    void refuseInTime(request, problem, (refused) => refuseUpgrade(stream, refused, challengeOf(refused, request)))
  })
}

/** @returns why not */
function letIn(tokens: Pick<Tokens, 'check'>, request: IncomingMessage): Problem | undefined {
  try {
    setCaller(request, admit(tokens, request))
    return undefined
  } catch (error) {
    if (isProblem(error)) return error
    throw error
  }
}

/** The connection ends with it: what was to come on it, a body for one, is not read. */
function refuseRequest(request: IncomingMessage, response: ServerResponse, problem: Problem): void {
  const body = JSON.stringify(errorReply(problem))
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
    ...challengeOf(problem, request),
  }
  if (problem.code === 'TOO_MANY_ATTEMPTS') response.setHeader('retry-after', '10')
  response.writeHead(problem.status, headers).end(body)
}

function tooMany(): Problem {
  return new Problem('TOO_MANY_ATTEMPTS', 'too many wrong tokens from this address at once', {
    hint: 'try again in ten seconds',
  })
}
