import { type DataLayout, type Digest, shortDigest } from '../base/index.ts'
import { catalogImages } from './catalog-images.ts'
import type { ImagesContext } from './images-context.ts'
import { findKeptLower } from './kept/find-kept-lower.ts'
import { checkLower } from './lowers/check-lower.ts'
import { findLower } from './lowers/ensure-lower.ts'
import { lowerKinds } from './lowers/lower-kind.ts'
import { placesOf } from './verify/built-lowers.ts'
import { bytesOf } from './verify/cached-layers.ts'

/** How the lowers of all images are, as far as their first blocks tell. */
export interface LowersReport {
  /** Manifests that have one. */
  readonly there: number
  /** Of these, those that cannot be made again here, because layers are missing. */
  readonly kept: number
  readonly broken: readonly BrokenLower[]
}

export interface BrokenLower {
  /** A tag of the image, or its digest. */
  readonly image: string
  readonly complaint: string
  /** Whether it cannot be made again here. */
  readonly isKept: boolean
}

/** Reads one block of each lower. What cannot be read of an image is not followed. @throws Problem IO_FAILED, RECORD_INVALID (index.json) */
export async function lowersReport(context: Pick<ImagesContext, 'blobs' | 'layout' | 'pins'>): Promise<LowersReport> {
  const { layout } = context
  const names = new Map<Digest, string>()
  for (const { digest, tags, manifests } of await catalogImages(context, { onDamage: 'show' })) {
    for (const manifest of manifests) names.set(manifest.digest, tags[0] ?? shortDigest(digest))
  }
  const manifests = [...names.keys()]
  const kept = manifests.filter((digest) => findKeptLower(layout, digest) !== undefined)
  const built = manifests.filter((digest) => findLower(layout, digest, lowerKinds) !== undefined)
  const broken: BrokenLower[] = []
  for (const [digest, image] of names) broken.push(...(await brokenOf(layout, digest, image)))
  return { there: new Set([...kept, ...built]).size, kept: kept.length, broken }
}

async function brokenOf(layout: DataLayout, digest: Digest, image: string): Promise<BrokenLower[]> {
  const broken: BrokenLower[] = []
  for (const { path, uuid } of placesOf(layout, digest)) {
    if ((await bytesOf(path)) === undefined) continue
    const { complaint } = checkLower(path, uuid)
    if (complaint !== undefined) broken.push({ image, complaint, isKept: path === layout.keptLower(digest) })
  }
  return broken
}
