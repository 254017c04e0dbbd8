import { defaultPatience, type Patience } from '../patience/patience.ts'
import { Endpoint } from './endpoint.ts'
import type { Resolve } from './http/guard.ts'
import { formatRepository } from './locate-image.ts'
import { type MirrorAddress, parseMirror } from './parse-mirror.ts'
import type { Registries, RegistrySettings, Repository, RepositoryName, RepositoryOptions } from './registry.ts'
import { Mirror } from './repository/mirror.ts'
import { openRepository } from './repository/open-repository.ts'
import { checkPath } from './repository/repository-context.ts'

export interface OpenRegistries {
  /** By registry, as people write it: `registries` of config.toml. */
  readonly settings?: Readonly<Record<string, RegistrySettings>> | undefined
  /**
   * Where credentials are (HOME, DOCKER_CONFIG, REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, PATH), and HTTPS_PROXY, HTTP_PROXY and NO_PROXY. This
   * process's environment unless told.
   */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  readonly patience?: Partial<Patience> | undefined
  /** Instead of the system's resolver. */
  readonly resolve?: Resolve | undefined
}

/** A mirror that does not answer is not waited for long: the registry itself can be asked. */
const mirrorPatience = { tries: 2, connectMs: 3000 }

/** The registries that this host talks to. Opens nothing and loads nothing before it is asked for something. */
export function openRegistries(options: OpenRegistries = {}): Registries {
  const { settings = {}, env = process.env, resolve } = options
  const patience = { ...defaultPatience, ...options.patience }
  const endpoints = new Map<string, Endpoint>()

  const endpoint = (registry: string, use: { plainHttp?: boolean | undefined; mirror: boolean }): Endpoint => {
    const own = settings[registry]
    const plainHttp = use.plainHttp ?? own?.plain_http ?? false
    const key = `${registry} ${plainHttp} ${use.mirror}`
    const known = endpoints.get(key)
    if (known !== undefined) return known
    const waits = use.mirror ? { ...patience, ...mirrorPatience } : patience
    const opened = new Endpoint({ registry, plainHttp, ca: own?.ca, patience: waits, env, resolve })
    endpoints.set(key, opened)
    return opened
  }

  const mirrors = new Map<string, Mirror>()
  const mirrorAt = (address: MirrorAddress): Mirror => {
    const { registry, prefix, plainHttp } = address
    const key = `${registry} ${prefix} ${plainHttp}`
    const mirror = mirrors.get(key) ?? new Mirror(endpoint(registry, { plainHttp, mirror: true }), prefix)
    mirrors.set(key, mirror)
    return mirror
  }

  return {
    repository(name: RepositoryName, { plainHttp }: RepositoryOptions = {}): Repository {
      const title = formatRepository(name)
      const addresses = (settings[name.registry]?.mirrors ?? []).map(parseMirror)
      return openRepository({
        name,
        home: { endpoint: endpoint(name.registry, { plainHttp, mirror: false }), path: checkPath(name.path), title },
        mirrors: addresses.map(mirrorAt),
      })
    },
    async close() {
      await Promise.all([...endpoints.values()].map((one) => one.close()))
    },
  }
}
