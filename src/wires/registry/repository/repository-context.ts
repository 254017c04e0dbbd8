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
