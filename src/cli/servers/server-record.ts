import { Problem } from '../../base/index.ts'

/** How to talk to a server. */
export interface ServerRecord {
  /** `https://build.example:7443`; http only to this host, or with `plain_http`. */
  readonly url: string
  readonly token: string
  /** Certificates (PEM) that alone vouch for it; without them those of the system. */
  readonly ca?: string | undefined
  /** http to another host, as somebody said. */
  readonly plain_http?: boolean | undefined
}

/** A server that a command talks to. */
export interface RemoteServer extends ServerRecord {
  /** As this user calls it; the URL of one that has no name here. */
  readonly name: string
}

/**
 * The address of a server, as it is kept.
 *
 * @throws Problem INVALID_REQUEST for what is none, or would show the token to the network
 */
export function checkUrl(text: string, { plainHttp }: { readonly plainHttp: boolean }): string {
  const url = parseUrl(text)
  if (url.protocol === 'http:' && !plainHttp && !isThisHost(url.hostname)) {
    throw new Problem('INVALID_REQUEST', `the token would go to ${url.host} as it is, for whoever sees the traffic`, {
      hint: 'use https://; or, where the network itself encrypts: --plain-http',
    })
  }
  return url.origin
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const bare =
    url !== undefined && url.origin !== 'null' && ['', '/'].includes(`${url.pathname}${url.search}${url.hash}`)
  if (bare && ['http:', 'https:'].includes(url.protocol) && url.username === '' && url.password === '') return url
  throw new Problem('INVALID_REQUEST', `not the address of a server: ${JSON.stringify(text.slice(0, 80))}`, {
    hint: 'write it like https://build.example:7443',
  })
}

function isThisHost(name: string): boolean {
  return name === 'localhost' || name === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(name)
}

/** @throws Problem INVALID_REQUEST for what cannot be a token: it is not sent anywhere */
export function checkToken(text: string): string {
  const token = text.trim()
  if (/^[\x21-\x7e]{8,512}$/.test(token)) return token
  throw new Problem('INVALID_REQUEST', token === '' ? 'there is no token' : 'that is no token', {
    hint: 'cowshed token create prints one, on the server: ssh HOST cowshed token create | cowshed server add NAME URL --token-stdin',
  })
}
