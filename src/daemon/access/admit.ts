import type { IncomingMessage } from 'node:http'
import { Problem } from '../../base/index.ts'
import type { Caller, Tokens } from './tokens.ts'

/**
 * Who makes a request: what stands between the network and everything else.
 *
 * @see RFC 6750, The OAuth 2.0 Authorization Framework: Bearer Token Usage, section 2.1
 * @throws Problem UNAUTHORIZED without a token that is known, FORBIDDEN when its holder may only look
 */
export function admit(tokens: Pick<Tokens, 'check'>, request: IncomingMessage): Caller {
  const text = bearerOf(request)
  if (text === undefined) throw unauthorized('this server wants a token')
  const caller = tokens.check(text)
  if (caller === undefined) throw unauthorized('this server does not know the token, or it was revoked')
  const looks = request.method === 'GET' && request.headers.upgrade === undefined
  if (!caller.readOnly || looks) return caller
  throw new Problem('FORBIDDEN', `the token ${caller.name} may only look`, {
    hint: 'get one that may do more, from whoever runs the server: cowshed token create',
  })
}

function bearerOf({ headers: { authorization } }: IncomingMessage): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
}

function unauthorized(message: string): Problem {
  const hint =
    'get one from whoever runs the server: cowshed token create; then: cowshed server add NAME URL --token-stdin'
  return new Problem('UNAUTHORIZED', message, { hint })
}

/** Whether somebody tried a token. */
export function isGuess({ code }: Problem, request: IncomingMessage): boolean {
  return code === 'UNAUTHORIZED' && bearerOf(request) !== undefined
}

/** @see RFC 6750, section 3 */
export function challengeOf(problem: Problem, request: IncomingMessage): Record<string, string> {
  if (problem.code !== 'UNAUTHORIZED') return {}
  return { 'www-authenticate': `Bearer realm="cowshed"${isGuess(problem, request) ? ', error="invalid_token"' : ''}` }
}
