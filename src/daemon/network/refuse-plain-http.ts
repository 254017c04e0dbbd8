import { Problem } from '../../base/index.ts'
import type { NetworkSettings } from '../settings/network-settings.ts'
import { formatListen, isLoopback, type ListenAddress } from './parse-listen.ts'

/**
 * Without TLS tokens go over the network as they are. On this host alone that harms nobody; elsewhere it has to be said.
 *
 * @throws Problem SETTINGS_INVALID
 */
export function refusePlainHttp({ tls, plain_http }: NetworkSettings, address: ListenAddress): void {
  if (tls !== undefined || plain_http || isLoopback(address.host)) return
  throw new Problem(
    'SETTINGS_INVALID',
    `without a certificate, tokens would go over the network as they are: ${formatListen(address)} is not on this host alone`,
    {
      hint: 'give one: --tls-cert FILE --tls-key FILE; or, where the network itself encrypts: --allow-plain-http',
    },
  )
}
