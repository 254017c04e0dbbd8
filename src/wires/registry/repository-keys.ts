import type { RepositoryName } from './registry.ts'

/** What Docker Hub has been called in configuration files since its first version. */
const dockerHubNames = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])

/** The keys that something for a repository may stand under, the most specific first: `host/team/app`, `host/team`, `host`. */
export function repositoryKeys({ registry, path }: RepositoryName): string[] {
  const parts = path.split('/')
  const prefixes = parts.map((_, index) => `${registry}/${parts.slice(0, parts.length - index).join('/')}`)
  return [...prefixes, registry]
}

/** A key as people write it, in the form of repositoryKeys: `https://index.docker.io/v1/` is `docker.io`. */
export function normalizeRepositoryKey(key: string): string {
  const bare = key.replace(/^https?:\/\//i, '')
  const slash = bare.indexOf('/')
  const host = (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase()
  const path = (slash < 0 ? '' : bare.slice(slash + 1)).replace(/\/+$/, '')
  const registry = dockerHubNames.has(host) ? 'docker.io' : host
  return path === '' || /^v[12]$/.test(path) ? registry : `${registry}/${path}`
}

export function mostSpecific<T>(entries: ReadonlyMap<string, T>, keys: readonly string[]): T | undefined {
  const key = keys.find((candidate) => entries.has(candidate))
  return key === undefined ? undefined : entries.get(key)
}
