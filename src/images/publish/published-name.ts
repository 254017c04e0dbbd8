import { Problem } from '../../base/index.ts'
import type { RepositoryName } from '../../wires/index.ts'
import { remoteName } from '../remote-name.ts'

/**
 * Where something is published: a tag, for the digest of what is written there is not known before.
 *
 * @param usage the rest of what to type
 * @throws Problem INVALID_REQUEST
 */
export function publishedName(
  text: string,
  usage: string,
): { readonly repository: RepositoryName; readonly tag: string } {
  const { repository, reference: tag, digest } = remoteName(text)
  if (digest === undefined) return { repository, tag }
  throw new Problem('INVALID_REQUEST', 'what is published gets a tag: its digest is not known before', {
    hint: `say where: cowshed ${usage}`,
  })
}
