import { type Digest, isProblem, Problem, parseDigest } from '../base/index.ts'
import type { BlobStore } from '../blobs/index.ts'
import { type Descriptor, documentLimits, mediaTypes, parseJsonObject } from '../formats/index.ts'

/**
 * The descriptor of a manifest of which only the digest is known: that a shed is pinned to.
 *
 * @param who for the message: "shed web is pinned to"
 * @throws Problem RECORD_INVALID when it is not there or cannot be read
 */
export async function findManifest(blobs: BlobStore, text: string, who: string): Promise<Descriptor> {
  try {
    const digest: Digest = parseDigest(text)
    const bytes = await blobs.readBytes(digest, documentLimits.manifest)
    const { mediaType } = parseJsonObject(bytes, { noun: 'it', maxBytes: documentLimits.manifest })
    return { digest, size: bytes.length, mediaType: typeof mediaType === 'string' ? mediaType : mediaTypes.ociManifest }
  } catch (error) {
    if (!isProblem(error)) throw error
    throw new Problem('RECORD_INVALID', `${who} manifest ${text}, which cannot be read: ${error.message}`, {
      hint: 'load the image again',
      cause: error,
      data: { digest: text },
    })
  }
}
