import { Problem } from '../../base/index.ts'

export interface MirrorAddress {
  readonly registry: string
  /** What stands before the path of a repository; empty, or ending with a slash. */
  readonly prefix: string
  /** Undefined: what the settings of that registry say. */
  readonly plainHttp: boolean | undefined
}

/**
 * A mirror as config.toml has it: `mirror.example`, `mirror.example:5000/docker-hub`, also as a URL, the way Docker's daemon.json has it.
 *
 * @throws Problem SETTINGS_INVALID
 */
export function parseMirror(text: string): MirrorAddress {
  const [, scheme, host = '', path = ''] =
    /^(?:(https?):\/\/)?((?:[a-z0-9.-]+|\[[a-f0-9:]+\])(?::\d{1,5})?)(\/[^?#\s]*)?$/i.exec(text) ?? []
  if (host === '' || !URL.canParse(`https://${host}`)) {
    throw new Problem('SETTINGS_INVALID', `not a mirror: ${JSON.stringify(text.slice(0, 120))}`, {
      hint: 'write registries.*.mirrors like mirror.example:5000 or mirror.example/path',
    })
  }
  const prefix = path.replace(/^\/+|\/+$/g, '').replace(/^v2(?:\/|$)/, '')
  const plainHttp = scheme === undefined ? undefined : scheme.toLowerCase() === 'http'
  return { registry: host.toLowerCase(), prefix: prefix === '' ? '' : `${prefix}/`, plainHttp }
}
