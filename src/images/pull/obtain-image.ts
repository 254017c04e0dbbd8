import { isProblem, Problem } from '../../base/index.ts'
import { isBootable, lazyOf } from '../boot-only/bring-lazily.ts'
import type { ImagesContext } from '../images-context.ts'
import type { LongWork } from '../long-work.ts'
import { type ResolvedImage, resolveImage } from '../resolve-image.ts'
import { isLocalOnly } from './local-only.ts'
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
    const image = await resolveImage(context, ref)
    // One that is read in part is not here.
    const isPartial = !(await isBootable(context, image)) && (await lazyOf(context, image)) !== undefined
    if (!isPartial || isLocalOnly(ref)) return { image, pulled: undefined }
  } catch (error) {
    if (!isProblem(error, 'IMAGE_NOT_FOUND') || isLocalOnly(ref)) throw error
  }
  const pulled = await orHint(ref, pullImage(context, { ref, ...work }))
  return { image: await resolveImage(context, ref), pulled }
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
