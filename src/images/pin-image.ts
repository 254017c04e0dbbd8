import { findWholeImage } from './find-whole-image.ts'
import type { ImagesContext } from './images-context.ts'

/**
 * Pins an image, or lets it go again: what its tags point at now stays, with all that it needs and what was made from it, wherever its tags go.
 *
 * @returns whether that is a change
 * @throws Problem IMAGE_NOT_FOUND, INVALID_REQUEST for one platform of an image, RECORD_INVALID, NO_SPACE
 */
export function pinImage(context: ImagesContext, ref: string, pinned: boolean): Promise<boolean> {
  // In line with the removals: what is pinned is there, and one that looked before is over.
  return context.leases.removal(async () => {
    const { descriptor } = await findWholeImage(context, ref)
    return await context.pins.set({ kind: 'image', id: descriptor.digest }, pinned)
  })
}
