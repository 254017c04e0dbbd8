import { BlockList, isIP } from 'node:net'
import { Problem } from '../../../base/index.ts'
import { addressKind } from './address-kind.ts'
import { bareHost } from './guard.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The HTTP proxy that a URL is to be asked through, as HTTPS_PROXY, HTTP_PROXY and NO_PROXY say; undefined for none. What is on this host is
 * always asked directly.
 *
 * @throws Problem SETTINGS_INVALID when the variable is no proxy that can be used; what it holds may be a password, and is not told
 * @see Go, golang.org/x/net/http/httpproxy, which docker, skopeo and crane go by
 */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
  const value = env[name] || env[name.toLowerCase()]
  const host = bareHost(url.hostname)
  if (!value || host === 'localhost' || addressKind(host) === 'loopback') return undefined
  if (isExcepted(host, url, env.NO_PROXY || env.no_proxy || '')) return undefined
  const text = value.includes('://') ? value : `http://${value}`
  const proxy = URL.canParse(text) ? new URL(text) : undefined
  if (proxy?.protocol === 'http:' || proxy?.protocol === 'https:') return proxy
  throw new Problem('SETTINGS_INVALID', `${name} is not the URL of an HTTP proxy`, {
    hint: `set ${name} like http://proxy.example:3128 for the daemon, or take it away`,
  })
}

/** `*`, `example.com` with all below it, `.example.com` for what is below it, an address, a network; a port may follow a name. */
function isExcepted(host: string, url: URL, exceptions: string): boolean {
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  return exceptions
    .split(',')
    .map((text) => text.trim().toLowerCase())
    .some((exception) => {
      if (exception === '*' || exception === host) return true
      if (isIP(host) !== 0 && exception.includes('/')) return isInNetwork(host, exception)
      const [, name = '', only] = /^([^:]+?)(?::(\d+))?$/.exec(exception) ?? []
      if (name === '' || (only !== undefined && only !== port)) return false
      const below = name.startsWith('.') ? name : `.${name}`
      return host.endsWith(below) || host === name
    })
}

function isInNetwork(host: string, network: string): boolean {
  const [address = '', prefix = ''] = network.split('/')
  const family = isIP(address)
  if (family !== isIP(host) || !/^\d{1,3}$/.test(prefix) || Number(prefix) > (family === 4 ? 32 : 128)) return false
  const list = new BlockList()
  list.addSubnet(address, Number(prefix), family === 4 ? 'ipv4' : 'ipv6')
  return list.check(host, family === 4 ? 'ipv4' : 'ipv6')
}
