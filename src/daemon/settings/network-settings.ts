import { Problem } from '../../base/index.ts'
import type { TlsFiles } from '../network/read-tls-files.ts'
import type { Settings } from './settings.ts'

/** How to be talked to over the network. */
export interface NetworkSettings {
  /** HOST:PORT. */
  readonly listen: string
  readonly tls?: TlsFiles | undefined
  /** Without TLS, off this host, too. */
  readonly plain_http: boolean
}

/** What `serve` was told on the command line. */
export interface NetworkFlags {
  readonly listen?: string | undefined
  readonly tlsCert?: string | undefined
  readonly tlsKey?: string | undefined
  readonly allowPlainHttp?: boolean | undefined
}

/**
 * What was said on the command line counts before config.toml; undefined when neither says that there is to be a network.
 *
 * @throws Problem SETTINGS_INVALID
 */
export function networkSettings(settings: Settings, flags: NetworkFlags): NetworkSettings | undefined {
  const { listen = settings.listen, tlsCert, tlsKey, allowPlainHttp } = flags
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new Problem('SETTINGS_INVALID', 'a certificate and its key come together', {
      hint: '--tls-cert FILE --tls-key FILE',
    })
  }
  const tls = tlsCert === undefined || tlsKey === undefined ? settings.tls : { cert: tlsCert, key: tlsKey }
  if (listen === undefined) {
    if (tlsCert === undefined && allowPlainHttp !== true) return undefined
    throw new Problem('SETTINGS_INVALID', 'there is no address to listen on', { hint: '--listen HOST:PORT' })
  }
  return { listen, plain_http: allowPlainHttp ?? settings.allow_plain_http, ...(tls === undefined ? {} : { tls }) }
}
