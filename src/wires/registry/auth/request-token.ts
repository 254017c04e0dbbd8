import { z } from 'zod'
import { Problem, printable } from '../../../base/index.ts'
import { PassingProblem } from '../../patience/attempts.ts'
import type { Challenge } from '../headers/parse-challenges.ts'
import { follow, resolveTarget } from '../http/follow.ts'
import type { HttpRequest, HttpResponse } from '../http/http-message.ts'
import { readBounded } from '../http/read-bounded.ts'
import { readErrors } from '../http/registry-errors.ts'
import type { Transport } from '../http/transport.ts'
import type { Credentials } from './credentials.ts'

export interface RequestToken {
  readonly challenge: Challenge
  readonly scopes: readonly string[]
  readonly credentials: Credentials | undefined
}

export interface Token {
  readonly token: string
  /** How long it is good. */
  readonly seconds: number
}

const maxBytes = 2 ** 20

const Answer = z.object({
  token: z.string().min(1).optional(),
  access_token: z.string().min(1).optional(),
  expires_in: z.number().optional(),
})

/**
 * Gets a Bearer token from the token server that a registry names: with a refresh token by OAuth2, with a password by GET and Basic, without
 * either for what anyone may do.
 *
 * @throws Problem REGISTRY_UNAUTHORIZED, REGISTRY_FAILED; what Transport.exchange throws
 * @see distribution, docs/spec/auth: token.md, oauth.md
 */
export async function requestToken(transport: Transport, request: RequestToken): Promise<Token> {
  const realm = realmOf(transport.home, request.challenge)
  const message =
    request.credentials?.kind === 'identity-token'
      ? oauth(realm, request, request.credentials.token)
      : get(realm, request)
  const response = await follow(transport, message)
  if (response.status !== 200) throw await refusal(transport, response, request)
  return parseAnswer(await readBounded(transport, response, { maxBytes, noun: 'the answer of the token server' }))
}

/** An https registry's token server speaks https; Transport keeps it from being in the client's own network. */
function realmOf(home: URL, { parameters }: Challenge): URL {
  const realm = parameters.get('realm')
  if (realm === undefined || !/^https?:\/\//i.test(realm)) {
    throw new Problem('REGISTRY_FAILED', `${home.host} asks for a token and does not say where to get it`)
  }
  return resolveTarget(home, home, realm)
}

function get(realm: URL, { challenge, scopes, credentials }: RequestToken): HttpRequest {
  const url = new URL(realm)
  const service = challenge.parameters.get('service')
  if (service !== undefined) url.searchParams.set('service', service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  if (credentials?.kind !== 'password') return { method: 'GET', url, headers: {} }
  url.searchParams.set('account', credentials.username)
  const basic = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')
  return { method: 'GET', url, headers: { authorization: `Basic ${basic}` } }
}

function oauth(realm: URL, { challenge, scopes }: RequestToken, refreshToken: string): HttpRequest {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    service: challenge.parameters.get('service') ?? '',
    client_id: 'cowshed',
    scope: scopes.join(' '),
    refresh_token: refreshToken,
  })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return { method: 'POST', url: realm, headers, body: Buffer.from(form.toString()) }
}

async function refusal(transport: Transport, response: HttpResponse, { credentials }: RequestToken): Promise<Problem> {
  const { status, url } = response
  const secrets = [secretOf(credentials), response.authorization?.split(' ')[1]]
  const { text } = await readErrors(transport, response, secrets)
  const message = printable(`${url.host}, which gives out tokens for ${transport.home.host}, answered ${status}`)
  const said = text === '' ? message : `${message}: ${text}`
  if (status === 401 || status === 403 || status === 400) {
    return new Problem('REGISTRY_UNAUTHORIZED', said, { data: { registry: transport.home.host, status } })
  }
  if (status === 429 || status >= 500) return new PassingProblem('REGISTRY_FAILED', said)
  return new Problem('REGISTRY_FAILED', said)
}

function secretOf(credentials: Credentials | undefined): string | undefined {
  if (credentials === undefined) return undefined
  return credentials.kind === 'password' ? credentials.password || undefined : credentials.token
}

function parseAnswer(body: Buffer): Token {
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch {
    // What the parser says quotes what it read: a token.
    throw noToken()
  }
  const answer = Answer.safeParse(value)
  const token = answer.data?.token ?? answer.data?.access_token
  if (token === undefined) throw noToken()
  // The specification's default; less than a minute is what servers say who mean "not long".
  return { token, seconds: Math.max(answer.data?.expires_in ?? 60, 0) }
}

function noToken(): Problem {
  return new Problem('REGISTRY_FAILED', 'the token server answered, and there is no token in its answer')
}
