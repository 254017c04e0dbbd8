import { type Digest, digestAlgorithm, digestHex, isProblem, Problem } from '../../../base/index.ts'
import {
  type Descriptor,
  documentKind,
  documentLimits,
  mediaTypes,
  parseJsonObject,
  parseManifest,
} from '../../../formats/index.ts'
import type { RemoteManifest, RequestOptions } from '../registry.ts'
import { readManifest } from './read-manifest.ts'
import { type RepositoryContext, titleOf } from './repository-context.ts'

/** What a document says it is about, and how it is listed with that. */
export interface Referrer {
  readonly subject: Digest
  readonly descriptor: Descriptor
}

/** Undefined for a document that is about nothing else, or that nobody could understand. */
export function referrerOf({ descriptor, bytes }: RemoteManifest): Referrer | undefined {
  if (documentKind(descriptor.mediaType) !== 'manifest') return undefined
  try {
    const { subject, artifactType, annotations, config } = parseManifest(bytes, descriptor.mediaType)
    if (subject === undefined) return undefined
    const type = { artifactType: artifactType ?? config.mediaType }
    return { subject: subject.digest, descriptor: { ...descriptor, ...type, ...(annotations && { annotations }) } }
  } catch (error) {
    // What it is for is the business of those who have it written.
    if (isProblem(error)) return undefined
    throw error
  }
}

/**
 * The list of what refers to a manifest, with one more, as it must be kept under a tag of a registry that does not keep it by itself.
 *
 * @returns undefined when it is there already
 * @throws Problem IMAGE_INVALID when something else is under that tag; what the registry's client throws
 * @see distribution-spec "Pushing Manifests with Subject", "Referrers Tag Schema"
 */
export async function withReferrer(
  repository: RepositoryContext,
  { subject, descriptor }: Referrer,
  options: RequestOptions,
): Promise<{ readonly tag: string; readonly bytes: Buffer } | undefined> {
  const tag = `${digestAlgorithm(subject)}-${digestHex(subject).slice(0, 64)}`
  const members = await readMembers(repository, tag, options)
  if (members.some((member) => isObject(member) && member.digest === descriptor.digest)) return undefined
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [...members, descriptor] }
  return { tag, bytes: Buffer.from(JSON.stringify(index)) }
}

/** As they are, whatever else they say. */
async function readMembers(repository: RepositoryContext, tag: string, options: RequestOptions): Promise<unknown[]> {
  try {
    const { descriptor, bytes } = await readManifest(repository, tag, options)
    const { manifests } = parseJsonObject(bytes, { noun: 'the list of referrers', maxBytes: documentLimits.index })
    if (documentKind(descriptor.mediaType) === 'index' && Array.isArray(manifests)) return manifests
  } catch (error) {
    if (isProblem(error, 'REGISTRY_NOT_FOUND')) return []
    throw error
  }
  throw new Problem(
    'IMAGE_INVALID',
    `${titleOf(repository, tag)} should list what refers to an image, and is something else`,
    {
      hint: 'delete that tag from the registry',
    },
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
