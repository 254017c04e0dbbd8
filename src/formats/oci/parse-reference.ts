import { type Digest, isDigest, Problem, parseDigest } from '../../base/index.ts'

/** What people call an image: `debian:12`, `registry.example:5000/team/app:v1@sha256:…`. */
export interface Reference {
  /** Without tag and digest; never expanded: `debian` stays `debian`. */
  readonly name: string
  /** `latest` when neither a tag nor a digest was given. */
  readonly tag?: string | undefined
  readonly digest?: Digest | undefined
}

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const hostLabel = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?'
const host = `(?:${hostLabel}(?:\\.${hostLabel})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]{1,5})?`
const namePattern = new RegExp(`^(?:${host}/)?${component}(?:/${component})*$`)
const pathPattern = new RegExp(`^${component}(?:/${component})*$`)
const tagPattern = /^\w[\w.-]{0,127}$/

/**
 * Parses `name[:tag][@digest]`.
 *
 * @throws Problem INVALID_REQUEST when it is not of the grammar
 * @see distribution/reference, reference.go
 */
export function parseReference(text: string): Reference {
  const at = text.indexOf('@')
  const tagged = at < 0 ? text : text.slice(0, at)
  // A colon before the last slash is a port.
  const colon = tagged.indexOf(':', tagged.lastIndexOf('/') + 1)
  const name = colon < 0 ? tagged : tagged.slice(0, colon)
  const tag = colon < 0 ? undefined : tagged.slice(colon + 1)
  if (name.length > 255 || !namePattern.test(name)) throw notAReference(text, nameHint(name))
  if (tag !== undefined && !tagPattern.test(tag)) throw notAReference(text, 'tags are letters, digits, _ . and -')
  if (at < 0) return { name, tag: tag ?? 'latest' }
  const digest = text.slice(at + 1)
  if (!isDigest(digest)) throw notAReference(text, 'after @ comes a digest: sha256: and 64 hex digits')
  return { name, tag, digest: parseDigest(digest) }
}

/** A reference as it is written in full: `debian` becomes `debian:latest`. */
export function formatReference({ name, tag, digest }: Reference): string {
  return `${name}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

/** The grammar is checked backwards here: whether a text could follow the colon of a reference. */
export function isTag(text: string): boolean {
  return tagPattern.test(text)
}

/** Whether a text could be the name of a repository without its registry: `library/debian`. */
export function isRepositoryPath(text: string): boolean {
  return text.length <= 255 && pathPattern.test(text)
}

function nameHint(name: string): string {
  if (/[A-Z]/.test(name)) return 'image names are in lower case'
  return 'write it like debian:12 or registry.example:5000/team/app:v1'
}

function notAReference(text: string, hint: string): Problem {
  return new Problem('INVALID_REQUEST', `not an image reference: ${JSON.stringify(text.slice(0, 120))}`, { hint })
}
