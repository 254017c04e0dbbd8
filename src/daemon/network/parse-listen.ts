import { isIP, isIPv4 } from 'node:net'
import { Problem } from '../../base/index.ts'

export interface ListenAddress {
  /** A name, an address, or `*` for every address of this host. */
  readonly host: string
  /** 0 is any that is free. */
  readonly port: number
}

/**
 * `192.0.2.5:7443`, `[::1]:7443`, `build.example:7443`; `*:7443` is every address of this host. Never a port alone: to be open to everybody is said, not left out.
 *
 * @throws Problem SETTINGS_INVALID
 */
export function parseListen(text: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host !== undefined && port <= 65535 && (match?.[1] === undefined || isIP(host) === 6)) {
    return { host, port }
  }
  throw new Problem('SETTINGS_INVALID', `not an address to listen on: ${JSON.stringify(text)}`, {
    hint: 'write it like 192.0.2.5:7443, [::1]:7443 or, for every address of this host, *:7443',
  })
}

/** Whether nobody but this host can reach it. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true
  return isIPv4(host) && host.startsWith('127.')
}

export function formatListen({ host, port }: ListenAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
