import { once } from 'node:events'
import type { AddressInfo, Server } from 'node:net'
import { errnoCode, Problem, problemFromSystem } from '../../base/index.ts'
import { formatListen, type ListenAddress } from './parse-listen.ts'

/**
 * Listens on an address of this host.
 *
 * @returns the same with the port that it is, when any free one was asked for
 * @throws Problem PORT_IN_USE, SETTINGS_INVALID for what is no address of this host, PERMISSION_DENIED
 */
export async function listenOn(server: Server, address: ListenAddress): Promise<ListenAddress> {
  const { host, port } = address
  try {
    server.listen({ port, ...(host === '*' ? {} : { host }) })
    await once(server, 'listening')
  } catch (error) {
    throw listenProblem(error, formatListen(address))
  }
  return { host, port: (server.address() as AddressInfo).port }
}

function listenProblem(error: unknown, address: string): Problem {
  switch (errnoCode(error)) {
    case 'EADDRINUSE':
      return new Problem('PORT_IN_USE', `another program listens on ${address}`, {
        hint: 'choose another port: --listen HOST:PORT, or listen in config.toml',
        cause: error,
      })
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new Problem('SETTINGS_INVALID', `${address} is no address of this host`, {
        hint: 'ip addr shows which there are; *:PORT is all of them',
        cause: error,
      })
    default:
      return problemFromSystem(error, `listen on ${address}`)
  }
}
