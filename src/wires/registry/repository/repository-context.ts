import { isDigest, Problem } from '../../../base/index.ts'
import { isRepositoryPath, isTag } from '../../../formats/index.ts'
import type { Access } from '../auth/authorizer.ts'
import type { Endpoint } from '../endpoint.ts'

/** A repository of one registry, or of a mirror of it: what every operation is done on. */
export interface RepositoryContext {
  readonly endpoint: Endpoint
  readonly path: string
  /** For messages: the repository as people know it, also where a mirror is asked. */
  readonly title: string
}

export function pullAccess({ path }: RepositoryContext): Access {
  return { path, scopes: [`repository:${path}:pull`] }
}

/** Pushing needs to look, too. */
export function pushAccess({ path }: RepositoryContext): Access {
  return { path, scopes: [`repository:${path}:pull,push`] }
}

/** @param reference a tag or a digest */
export function titleOf({ title }: RepositoryContext, reference: string): string {
  return `${title}${reference.includes(':') ? '@' : ':'}${reference}`
}

/**
 * Names become parts of URLs, and not all of them come from people: nothing in one may lead elsewhere.
 *
 * @throws Problem INVALID_REQUEST
 * @see CVE-2024-3727
 */
export function checkPath(path: string): string {
  if (isRepositoryPath(path)) return path
  throw new Problem('INVALID_REQUEST', `not the name of a repository: ${JSON.stringify(path.slice(0, 120))}`)
}

/** @throws Problem INVALID_REQUEST for what is neither a tag nor a digest */
export function checkReference(reference: string): string {
  if (isDigest(reference) || isTag(reference)) return reference
  throw new Problem('INVALID_REQUEST', `neither a tag nor a digest: ${JSON.stringify(reference.slice(0, 120))}`)
}
