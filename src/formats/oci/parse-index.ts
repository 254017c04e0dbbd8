import { z } from 'zod'
import { isProblem } from '../../base/index.ts'
import { checkDocument } from './check-document.ts'
import { Annotations, type Descriptor, nullish, parseDescriptor } from './descriptor.ts'
import { documentLimits, parseJsonObject, parseWith } from './json-document.ts'
import { mediaTypes } from './media-types.ts'

const IndexDocument = z.object({
  manifests: nullish(z.array(z.unknown())),
  annotations: nullish(Annotations),
  artifactType: nullish(z.string()),
})

/** A list of manifests, mostly one for each platform. @see image-spec image-index.md */
export interface ImageIndex {
  readonly mediaType: string
  readonly manifests: readonly Descriptor[]
  /** Members whose digest is of an algorithm that cannot be verified here: known to be there, never trusted. */
  readonly unsupported: readonly unknown[]
  readonly annotations?: Annotations | undefined
  readonly artifactType?: string | undefined
}

/**
 * The index that bytes hold; see parseManifest.
 *
 * @throws Problem IMAGE_INVALID, IMAGE_UNSUPPORTED (schema 1), LIMIT_EXCEEDED
 */
export function parseIndex(bytes: Uint8Array, mediaType: string = mediaTypes.ociIndex): ImageIndex {
  const document = parseJsonObject(bytes, { noun: 'the index', maxBytes: documentLimits.index })
  checkDocument(document, 'index', mediaType)
  const { manifests = [], ...rest } = parseWith(IndexDocument, document, 'the index')
  return { mediaType, ...sortOut(manifests), ...rest }
}

function sortOut(members: readonly unknown[]): Pick<ImageIndex, 'manifests' | 'unsupported'> {
  const manifests: Descriptor[] = []
  const unsupported: unknown[] = []
  for (const member of members) {
    try {
      manifests.push(parseDescriptor(member))
    } catch (error) {
      if (!isProblem(error, 'IMAGE_UNSUPPORTED')) throw error
      unsupported.push(member)
    }
  }
  return { manifests, unsupported }
}
