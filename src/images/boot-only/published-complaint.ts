import { isDeepStrictEqual } from 'node:util'
import type { Digest, LowerProfile } from '../../base/index.ts'
import { checkLower } from '../lowers/check-lower.ts'
import type { LowerKind } from '../lowers/lower-kind.ts'
import { lowerUuid } from '../lowers/lower-uuid.ts'

/** What the lower of a publication says of itself. */
export interface PublishedIdentity {
  /** The manifest of its image. */
  readonly manifest: Digest
  readonly profile: LowerProfile
  readonly writerVersion: number
}

/** That a lower is what was published, its leaves say; that it is the lower of its image, its uuid does. @returns what is wrong, if anything @throws Problem IO_FAILED */
export function publishedComplaint(path: string, { manifest, profile, writerVersion }: PublishedIdentity) {
  const kind: LowerKind = { profile, form: 'whole' }
  const lower = checkLower(path, lowerUuid(kind, manifest, writerVersion))
  if (lower.complaint !== undefined) return lower.complaint
  return isDeepStrictEqual(lower.kind, kind) ? undefined : `it is not ${profile} and whole`
}
