import { rm } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { type Digest, Problem, problemFromSystem, shortDigest } from '../base/index.ts'
import type { RemoveImageReply } from '../contract/index.ts'
import { refusePinned } from '../state/index.ts'
import type { FoundImage } from './find-image.ts'
import { findWholeImage } from './find-whole-image.ts'
import { isShed } from './image-users.ts'
import type { ImagesContext } from './images-context.ts'
import { planRemovals, type RemovalFile, type RemovalPlan } from './plan-removal.ts'
import { withoutTags } from './tag-image.ts'

export interface RemoveImage {
  readonly force: boolean
  /** The tags that the caller decided on, in the order of the catalog: an image that has others by now is not removed. */
  readonly ifTagged?: readonly string[]
}

/**
 * Takes a tag from an image, and with its last tag, or when it was named by digest, the image and every file that nothing else needs.
 *
 * With `force` an image that sheds use loses its tags and stays in the store without, until the last of those sheds is gone.
 * @throws Problem IMAGE_NOT_FOUND; PINNED; IMAGE_IN_USE naming the sheds; PLAN_CHANGED; RECORD_INVALID when anything that might need the files cannot be read:
 *   then nothing has been removed
 */
export function removeImage(
  context: ImagesContext,
  ref: string,
  { force, ifTagged }: RemoveImage,
): Promise<RemoveImageReply> {
  return context.leases.removal(async () => {
    const image = await findWholeImage(context, ref)
    await refusePinned(context.pins, { kind: 'image', id: image.descriptor.digest }, nameOf(image))
    if (ifTagged !== undefined && !isDeepStrictEqual(ifTagged, image.tags)) throw tagsHaveChanged(ref)
    const tags = image.tag === undefined ? image.tags : [image.tag]
    if (tags.length < image.tags.length) return await untag(context, tags)
    return await removeWhole(context, image, { force })
  })
}

async function removeWhole(
  context: ImagesContext,
  image: FoundImage,
  { force }: { force: boolean },
): Promise<RemoveImageReply> {
  using watch = context.leases.watchHolds()
  const [plan] = await planRemovals(context, { images: [image.descriptor.digest] })
  if (plan === undefined) throw new Problem('INTERNAL', 'a plan for one image has none')
  const holders = holdersOf(plan, watch.held)
  if (holders.length > 0) {
    if (!force || image.tags.length === 0) throw inUse(image, holders)
    return await untag(context, image.tags)
  }
  // Nothing is awaited between the plan and here: whoever held the image in time is seen, whoever comes later is refused.
  using _ = context.leases.startRemoving([plan.digest, ...plan.manifests])
  // What is derived goes first: without it the image is still whole, and on a full disk its space is what index.json is written with.
  const isBlob = ({ kind }: RemovalFile) => kind === 'blob'
  const derived = await removeFiles(
    context,
    plan.files.filter((file) => !isBlob(file)),
  )
  await context.blobs.updateIndex((index) => ({
    ...index,
    entries: index.entries.filter((entry) => entry.descriptor?.digest !== plan.digest),
  }))
  const removed = [...derived, ...(await removeFiles(context, plan.files.filter(isBlob)))]
  return {
    untagged: [...image.tags],
    deleted: removed.filter(isBlob).map(({ digest }) => digest),
    freed_physical_bytes: removed.reduce((sum, { physicalBytes }) => sum + physicalBytes, 0),
  }
}

function holdersOf({ digest, manifests, usedBy }: RemovalPlan, held: ReadonlySet<Digest>): readonly string[] {
  if (usedBy.length > 0) return usedBy
  return [digest, ...manifests].some((one) => held.has(one)) ? ['a shed that is being made'] : []
}

async function untag(context: ImagesContext, tags: readonly string[]): Promise<RemoveImageReply> {
  await context.blobs.updateIndex((index) => ({ ...index, entries: withoutTags(index.entries, tags, { keep: true }) }))
  return { untagged: [...tags], deleted: [], freed_physical_bytes: 0 }
}

/** Removes files, except what a load has come to need meanwhile. @returns those that went */
export async function removeFiles<T extends Pick<RemovalFile, 'digest' | 'path'>>(
  { leases }: Pick<ImagesContext, 'leases'>,
  files: readonly T[],
): Promise<T[]> {
  const removed: T[] = []
  for (const file of files) {
    if (leases.isLeased(file.digest)) continue
    try {
      await rm(file.path, { force: true })
    } catch (error) {
      throw problemFromSystem(error, `remove ${file.path}`)
    }
    removed.push(file)
  }
  return removed
}

function nameOf({ tags, descriptor }: FoundImage): string {
  return tags[0] ?? shortDigest(descriptor.digest)
}

function inUse(image: FoundImage, users: readonly string[]): Problem {
  const { tags } = image
  const name = nameOf(image)
  const untag = tags.length === 0 ? '' : `, or take only its name: cowshed image rm ${name} --force`
  return new Problem('IMAGE_IN_USE', `image ${name} is used by ${users.join(', ')}`, {
    hint: `delete what uses it first${untag}`,
    data: { sheds: users.filter(isShed) },
  })
}

function tagsHaveChanged(ref: string): Problem {
  return new Problem('PLAN_CHANGED', `the tags of image ${ref} have changed since the plan was made`)
}
