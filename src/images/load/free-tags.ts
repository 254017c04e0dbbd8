import { type Digest, isProblem } from '../../base/index.ts'
import type { BlobStore } from '../../blobs/index.ts'
import { parseTag, storedImages } from '../find-image.ts'

/** The tag that an image was known by elsewhere, as long as no other image here has it: nobody loses a name by what comes in from outside. */
export async function freeTags(
  blobs: Pick<BlobStore, 'readIndex'>,
  { manifest, ref }: { readonly manifest: Digest; readonly ref: string },
): Promise<string[]> {
  const tag = tagOf(ref)
  if (tag === undefined) return []
  const owner = storedImages((await blobs.readIndex()).entries).find(({ tags }) => tags.includes(tag))
  return owner === undefined || owner.descriptor.digest === manifest ? [tag] : []
}

/** Undefined for what names an image by its digest, or by the first digits of that. */
function tagOf(ref: string): string | undefined {
  if (/^(?:sha256:)?[a-f0-9]{6,64}$/.test(ref)) return undefined
  try {
    return parseTag(ref)
  } catch (error) {
    if (isProblem(error)) return undefined
    throw error
  }
}
