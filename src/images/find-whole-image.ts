import { Problem } from '../base/index.ts'
import { type FoundImage, findImage, storedImages } from './find-image.ts'
import type { ImagesContext } from './images-context.ts'

/** Finds what tags point at: not one platform inside of it. @throws Problem IMAGE_NOT_FOUND, INVALID_REQUEST */
export async function findWholeImage({ blobs }: Pick<ImagesContext, 'blobs'>, ref: string): Promise<FoundImage> {
  const image = await findImage(blobs, ref)
  const inIndex = storedImages((await blobs.readIndex()).entries)
  if (inIndex.some(({ descriptor }) => descriptor.digest === image.descriptor.digest)) return image
  throw new Problem('INVALID_REQUEST', `${ref} is one platform of an image: it stays and goes with the whole image`, {
    hint: 'see the images: cowshed image ls',
  })
}
