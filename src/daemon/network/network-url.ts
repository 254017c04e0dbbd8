import { hostname } from 'node:os'
import { formatListen, type ListenAddress } from './parse-listen.ts'

export interface NetworkUrl {
  readonly address: ListenAddress
  readonly tls: boolean
}

/** What a client is given. Where every address is listened on, this host's name stands for them. */
export function networkUrl({ address: { host, port }, tls }: NetworkUrl): string {
  const everywhere = ['*', '0.0.0.0', '::'].includes(host)
  return `${tls ? 'https' : 'http'}://${formatListen({ host: everywhere ? hostname() : host, port })}`
}
