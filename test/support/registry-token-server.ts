import { randomUUID, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Certificate } from './registry-certificate.ts'
import { registryUser } from './registry-user.ts'

/** A request for a token, as the server saw it. */
export interface TokenRequest {
  readonly method: string
  readonly authorization: string | undefined
  /** Of the query or, with POST, of the form. */
  readonly parameters: URLSearchParams
  readonly scopes: readonly string[]
}

export interface TokenServer {
  readonly realm: string
  readonly requests: TokenRequest[]
  /** What POST takes as a refresh token. */
  readonly refreshToken: string
  /** The `auth.token` of the registry's configuration. */
  readonly registryConfig: object
  /** Anyone gets a token to pull; true unless set. */
  anonymousPull: boolean
  [Symbol.asyncDispose](): Promise<void>
}

const service = 'test-registry'
const issuer = 'test-tokens'

/**
 * Gives out Bearer tokens: GET with Basic, GET without any for pulls, POST of OAuth2 with a refresh token or a password.
 *
 * @see distribution, docs/spec/auth: token.md, oauth.md, jwt.md
 */
export async function startTokenServer({ certificate, tls, seconds }: StartTokenServer): Promise<TokenServer> {
  const requests: TokenRequest[] = []
  const refreshToken = `refresh-${randomUUID()}`
  const server: Server = tls ? createTlsServer({ cert: certificate.pem, key: certificate.keyPem }) : createServer()
  server.on('request', async (message: IncomingMessage, reply) => {
    const request = await parseRequest(message)
    requests.push(request)
    const who = identify(request, refreshToken)
    reply.setHeader('content-type', 'application/json')
    if (who === 'refused') {
      reply.writeHead(401).end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'who are you?' }] }))
      return
    }
    const pullOnly = who === 'anonymous'
    const access = pullOnly && !tokens.anonymousPull ? [] : accessOf(request.scopes, pullOnly)
    const token = signToken(certificate, { access, seconds })
    const name = request.method === 'POST' ? 'access_token' : 'token'
    reply.end(JSON.stringify({ [name]: token, expires_in: seconds }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const realm = `${tls ? 'https' : 'http'}://127.0.0.1:${port}/token`
  const tokens: TokenServer = {
    realm,
    requests,
    refreshToken,
    registryConfig: { realm, service, issuer, rootcertbundle: certificate.certificatePath },
    anonymousPull: true,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return tokens
}

interface StartTokenServer {
  readonly certificate: Certificate
  readonly tls: boolean
  readonly seconds: number
}

async function parseRequest(message: IncomingMessage): Promise<TokenRequest> {
  const { method = 'GET', url = '/' } = message
  const query = new URL(url, 'http://token.test').searchParams
  const parameters = method === 'POST' ? new URLSearchParams(await text(message)) : query
  const scopes = parameters.getAll('scope').flatMap((scope) => scope.split(' '))
  return { method, authorization: message.headers.authorization, parameters, scopes }
}

function identify({ method, authorization, parameters }: TokenRequest, refreshToken: string) {
  const { username, password } = registryUser
  if (parameters.get('service') !== service) return 'refused'
  if (method === 'POST') {
    const grant = parameters.get('grant_type')
    if (grant === 'refresh_token') return parameters.get('refresh_token') === refreshToken ? username : 'refused'
    return parameters.get('username') === username && parameters.get('password') === password ? username : 'refused'
  }
  if (authorization === undefined) return 'anonymous'
  return authorization === `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` ? username : 'refused'
}

function accessOf(scopes: readonly string[], pullOnly: boolean): object[] {
  return scopes.map((scope) => {
    const actions = scope.slice(scope.lastIndexOf(':') + 1).split(',')
    const name = scope.slice(scope.indexOf(':') + 1, scope.lastIndexOf(':'))
    return { type: 'repository', name, actions: pullOnly ? actions.filter((action) => action === 'pull') : actions }
  })
}

function signToken({ key, der }: Certificate, { access, seconds }: { access: object[]; seconds: number }): string {
  const now = Math.floor(Date.now() / 1000)
  const header = { typ: 'JWT', alg: 'ES256', x5c: [der.toString('base64')] }
  const claims = { iss: issuer, aud: service, sub: '', jti: randomUUID(), iat: now, nbf: now - 5, exp: now + seconds }
  const signed = [header, { ...claims, access }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
  const signature = sign('sha256', Buffer.from(signed.join('.')), { key, dsaEncoding: 'ieee-p1363' })
  return [...signed, signature.toString('base64url')].join('.')
}
