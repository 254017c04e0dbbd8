import { isProblem, Problem } from '../../base/index.ts'
import type { ImagesContext } from '../images-context.ts'
import type { LongWork } from '../long-work.ts'
import { type ResolvedImage, resolveImage } from '../resolve-image.ts'
import { type PulledImage, pullImage } from './pull-image.ts'

export interface ObtainedImage {
  readonly image: ResolvedImage
  /** When it was not here and had to be pulled. */
  readonly pulled: PulledImage | undefined
}

/**
 * The image that a reference stands for on this host, pulled when the store has none of that name.
 *
 * @throws Problem as resolveImage and pullImage do
 */
export async function obtainImage(context: ImagesContext, ref: string, work: LongWork): Promise<ObtainedImage> {
  try {
    return { image: await resolveImage(context, ref), pulled: undefined }
  } catch (error) {
    if (!isProblem(error, 'IMAGE_NOT_FOUND') || isLocalOnly(ref)) throw error
  }
  const pulled = await orHint(ref, pullImage(context, { ref, ...work }))
  return { image: await resolveImage(context, ref), pulled }
}

/** A digest, or the beginning of one, says nothing about where to look. */
function isLocalOnly(ref: string): boolean {
  return /^(?:sha(?:256|512):.*|[a-f0-9]{12,64})$/.test(ref)
}

/** Who mistyped a name must not be left with an error of some registry alone. */
async function orHint<T>(ref: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!isProblem(error) || !error.code.startsWith('REGISTRY_')) throw error
    const hint = `${error.hint === undefined ? '' : `${error.hint}\n`}the images that are here: cowshed image ls`
    throw new Problem(error.code, `image ${ref} is not here, and could not be pulled: ${error.message}`, {
      hint,
      cause: error,
      ...(error.data && { data: error.data }),
    })
  }
}
