import { type Digest, isDigest } from '../base/index.ts'
import type { Annotations } from '../formats/index.ts'
import type { RepositoryName } from '../wires/index.ts'

/**
 * What index.json remembers of where an image came from, in annotations of its own; other tools pass them over, and nothing depends on
 * them but speed: what is pushed can be mounted instead of uploaded, and a pull knows without a download that nothing has changed.
 */
export interface Origin {
  /** Indexes of several platforms that this manifest alone was taken from. */
  readonly indexes: readonly Digest[]
  /** Repositories that have all of it. */
  readonly repositories: readonly RepositoryName[]
}

export const noOrigin: Origin = { indexes: [], repositories: [] }

const indexesAnnotation = 'io.cowshed.image.indexes'
const repositoriesAnnotation = 'io.cowshed.image.repositories'
/** Of each, the newest: a tag that moves for years must not fill index.json. */
const maxRemembered = 16

export function readOrigin(annotations: Annotations | undefined): Origin {
  return {
    indexes: wordsOf(annotations, indexesAnnotation).filter(isDigest),
    repositories: wordsOf(annotations, repositoriesAnnotation).flatMap(parseRepository),
  }
}

/** The annotations that say it; none when there is nothing to say. */
export function writeOrigin({ indexes, repositories }: Origin): Annotations {
  return {
    ...(indexes.length === 0 ? {} : { [indexesAnnotation]: indexes.join(' ') }),
    ...(repositories.length === 0 ? {} : { [repositoriesAnnotation]: repositories.map(repositoryText).join(' ') }),
  }
}

/** All that is known, the newest first. */
export function joinOrigins(origins: readonly Origin[]): Origin {
  const indexes = new Set(origins.flatMap((origin) => origin.indexes))
  const repositories = new Map(
    origins.flatMap((origin) => origin.repositories.map((name) => [repositoryText(name), name])),
  )
  return {
    indexes: [...indexes].slice(0, maxRemembered),
    repositories: [...repositories.values()].slice(0, maxRemembered),
  }
}

function wordsOf(annotations: Annotations | undefined, key: string): string[] {
  return (annotations?.[key] ?? '').split(' ').filter((word) => word !== '')
}

function repositoryText({ registry, path }: RepositoryName): string {
  return `${registry}/${path}`
}

function parseRepository(text: string): RepositoryName[] {
  const slash = text.indexOf('/')
  return slash <= 0 || slash === text.length - 1
    ? []
    : [{ registry: text.slice(0, slash), path: text.slice(slash + 1) }]
}
