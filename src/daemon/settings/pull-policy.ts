import { isProblem } from '../../base/index.ts'
import { parseReference } from '../../formats/index.ts'
import { locateImage, mostSpecific, normalizeRepositoryKey, repositoryKeys } from '../../wires/index.ts'
import type { Settings } from './settings.ts'

/** What becomes of an image that is not here, by its reference: what config.toml says of its repository, or else of its registry, or else of all. */
export function pullPolicyOf({ pull_policy, pull_policies }: Settings['images']) {
  const policies = new Map(Object.entries(pull_policies).map(([key, policy]) => [normalizeRepositoryKey(key), policy]))
  return (ref: string) => mostSpecific(policies, keysOf(ref)) ?? pull_policy
}

function keysOf(ref: string): string[] {
  try {
    return repositoryKeys(locateImage(parseReference(ref)).repository)
  } catch (error) {
    // Whoever resolves the reference says what is wrong with it.
    if (isProblem(error)) return []
    throw error
  }
}
