import { refNameAnnotation, type StoreIndexEntry, storeIndexEntry } from '../blobs/index.ts'
import type { Descriptor } from '../formats/index.ts'
import { findImage, fullTag, parseTag } from './find-image.ts'
import type { ImagesContext } from './images-context.ts'
import { joinOrigins, noOrigin, type Origin, readOrigin, writeOrigin } from './origin.ts'

/**
 * Gives an image another tag; one that has it already loses it, and stays in the store without.
 *
 * @throws Problem IMAGE_NOT_FOUND, INVALID_REQUEST
 */
export async function tagImage({ blobs, leases }: ImagesContext, ref: string, tag: string): Promise<void> {
  const full = parseTag(tag)
  // In line with the removals: a tag must not be given to an image that is just going.
  await leases.removal(async () => {
    const { descriptor } = await findImage(blobs, ref)
    await blobs.updateIndex((index) => ({ ...index, entries: withTags(index.entries, descriptor, [full]) }))
  })
}

/**
 * The entries of index.json when `tags` point at `descriptor`. Whoever had one of them loses it; an image that has no tag left keeps one
 * entry without a name, because a shed may be pinned to it. Without tags, the image is entered without a name.
 *
 * @param origin what is new about where it came from; what is known already is kept
 */
export function withTags(
  entries: readonly StoreIndexEntry[],
  descriptor: Descriptor,
  tags: readonly string[],
  origin: Origin = noOrigin,
): StoreIndexEntry[] {
  const free = withoutTags(entries, tags, { keep: true })
  const known = entries.filter((entry) => isOf(entry, descriptor))
  const origins = joinOrigins([origin, ...known.map((entry) => readOrigin(entry.descriptor?.annotations))])
  if (tags.length > 0) {
    const others = free.filter((entry) => entry.refName !== undefined || !isOf(entry, descriptor))
    return [...others, ...tags.map((tag) => storeIndexEntry(indexMember(descriptor, tag, origins)))]
  }
  const isThere = free.some((entry) => isOf(entry, descriptor))
  return isThere
    ? free.map((entry) => (isOf(entry, descriptor) ? withOrigin(entry, origins) : entry))
    : [...free, storeIndexEntry(indexMember(descriptor, undefined, origins))]
}

/**
 * The entries without some tags.
 *
 * @param keep whether an image that loses its last tag stays as an entry without a name
 */
export function withoutTags(
  entries: readonly StoreIndexEntry[],
  tags: readonly string[],
  { keep }: { keep: boolean },
): StoreIndexEntry[] {
  const gone = new Set(tags)
  const kept: StoreIndexEntry[] = []
  const losers: StoreIndexEntry[] = []
  for (const entry of entries) (hasTagOf(entry, gone) ? losers : kept).push(entry)
  if (!keep) return kept
  const digests = new Set(kept.map((entry) => entry.descriptor?.digest))
  for (const { descriptor, raw } of losers) {
    if (descriptor === undefined || digests.has(descriptor.digest)) continue
    digests.add(descriptor.digest)
    kept.push(storeIndexEntry(withoutRefName(raw)))
  }
  return kept
}

function hasTagOf({ refName }: StoreIndexEntry, tags: ReadonlySet<string>): boolean {
  return refName !== undefined && tags.has(fullTag(refName))
}

function isOf(entry: StoreIndexEntry, { digest }: Descriptor): boolean {
  return entry.descriptor?.digest === digest
}

/** A member of an index.json: nothing but what a layout needs, so that the same image gives the same member. */
export function indexMember(
  { mediaType, digest, size, platform }: Descriptor,
  tag: string | undefined,
  origin: Origin = noOrigin,
): object {
  const annotations = { ...(tag === undefined ? {} : { [refNameAnnotation]: tag }), ...writeOrigin(origin) }
  return {
    mediaType,
    digest,
    size,
    ...(platform === undefined ? {} : { platform }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  }
}

/** An entry as it stands, and where the image came from. */
function withOrigin(entry: StoreIndexEntry, origin: Origin): StoreIndexEntry {
  const told = writeOrigin(origin)
  if (Object.keys(told).length === 0) return entry
  const { annotations, ...rest } = entry.raw as { annotations?: Record<string, string> }
  return storeIndexEntry({ ...rest, annotations: { ...annotations, ...told } })
}

/** An entry as it stands, without its name. */
function withoutRefName(raw: unknown): unknown {
  const { annotations = {}, ...rest } = raw as { annotations?: Record<string, string> }
  const { [refNameAnnotation]: _name, ...others } = annotations
  return Object.keys(others).length === 0 ? rest : { ...rest, annotations: others }
}
