import type { Reference } from '../../formats/index.ts'
import type { RepositoryName } from './registry.ts'

export interface ImageLocation {
  readonly repository: RepositoryName
  /** What to ask the registry for: the digest when there is one, else the tag. */
  readonly reference: string
}

/**
 * Where an image is that people call so: `debian` is docker.io/library/debian, `registry.example:5000/team/app` is on that host.
 *
 * @see distribution/reference, normalize.go: the first component is a host when it has a dot, a colon or a capital, or is localhost
 */
export function locateImage({ name, tag, digest }: Reference): ImageLocation {
  const reference = digest ?? tag ?? 'latest'
  const slash = name.indexOf('/')
  const first = name.slice(0, Math.max(0, slash))
  if (!/[.:A-Z]/.test(first) && first !== 'localhost') return { repository: onDockerHub(name), reference }
  const registry = first.toLowerCase()
  const path = name.slice(slash + 1)
  if (registry === 'docker.io' || registry === 'index.docker.io') return { repository: onDockerHub(path), reference }
  return { repository: { registry, path }, reference }
}

/** A repository as messages name it. */
export function formatRepository({ registry, path }: RepositoryName): string {
  return `${registry}/${path}`
}

function onDockerHub(path: string): RepositoryName {
  return { registry: 'docker.io', path: path.includes('/') ? path : `library/${path}` }
}
