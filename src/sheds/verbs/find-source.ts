import { isProblem, Problem, parseDigest } from '../../base/index.ts'
import type { CreateShedRequest, LazyReading } from '../../contract/index.ts'
import type { BringLazily, LazyImage } from '../../images/index.ts'
import type { ShedsContext } from '../context.ts'
import { recordLazy } from '../lazy-lowers.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import type { LongWork } from '../sheds.ts'
import { type LoadedSnapshot, loadSnapshot } from '../snapshots/load-snapshot.ts'
import { isImageHere, lowerOfSnapshot } from '../snapshots/lower-of-snapshot.ts'
import type { SnapshotRecord } from '../snapshots/snapshot-record.ts'
import { shedSettings } from './shed-settings.ts'

/** What a shed record says of its image. */
export type ImageOfShed = Pick<ShedRecord, 'image' | 'defaults' | 'lazy'>

export interface HeldSnapshot extends LoadedSnapshot, Disposable {}

/**
 * The snapshot that a new shed is to be made from, if it is. What lies under it stays until it is disposed of.
 *
 * @throws Problem SNAPSHOT_NOT_FOUND, RECORD_INVALID, INVALID_REQUEST; IMAGE_NOT_FOUND when what it lies over is not here
 */
export async function findSnapshot(
  context: ShedsContext,
  request: CreateShedRequest,
): Promise<HeldSnapshot | undefined> {
  const { from_snapshot: name, image } = request
  if (name === undefined) return undefined
  const { record } = await loadSnapshot(context, name)
  if (image !== undefined) {
    const message = `the snapshot ${name} is of ${record.image.ref}, and no other image can lie under it`
    throw new Problem('INVALID_REQUEST', message, { hint: 'leave --image out' })
  }
  const { rootfs, upper_bytes } = shedSettings(request, record)
  if (rootfs !== record.rootfs || upper_bytes !== record.upper_bytes) {
    throw new Problem('INVALID_REQUEST', `the disk of a shed made from the snapshot ${name} is as it is there`, {
      hint: 'leave --rootfs and --upper-size out',
      data: { rootfs: record.rootfs, upper_bytes: record.upper_bytes },
    })
  }
  const hold = holdImage(context, { name, record })
  try {
    // It may have gone before that was held, and the image with it.
    return { ...(await loadSnapshot(context, name)), [Symbol.dispose]: () => hold[Symbol.dispose]() }
  } catch (error) {
    hold[Symbol.dispose]()
    throw error
  }
}

/** Nothing can be held of an image that is not here: a disk that lies over it is of no use then, and a whole one needs nothing of it. */
function holdImage(
  { layout, images }: ShedsContext,
  { name, record }: { name: string; record: SnapshotRecord },
): Disposable {
  const { lower, lower_hint } = lowerOfSnapshot(layout, { ...record, status: 'whole' })
  const manifest = parseDigest(record.image.manifest_digest)
  if (lower !== 'missing') return isImageHere(layout, manifest) ? images.hold(manifest) : { [Symbol.dispose]: () => {} }
  throw new Problem(
    'IMAGE_NOT_FOUND',
    `the image that the snapshot ${name} lies over is not here: ${record.image.ref}`,
    {
      hint: `${lower_hint}; or export the snapshot with --with-image where it came from`,
      data: { ref: record.image.ref, manifest_digest: manifest },
    },
  )
}

/** What a shed record says of its image. @throws Problem INVALID_REQUEST, IMAGE_NOT_FOUND; what a pull throws */
export async function findImage(
  context: ShedsContext,
  request: CreateShedRequest,
  work: LongWork,
): Promise<ImageOfShed> {
  const { image: ref } = request
  if (ref === undefined) {
    throw new Problem('INVALID_REQUEST', 'a shed is made from an image or from a snapshot', {
      hint: 'say which: --image REF or --from-snapshot NAME',
    })
  }
  const { image, lazy } = await obtain(context, { ...request, image: ref }, work)
  const { env, workingDir: cwd, user } = image.runtime
  return {
    image: { ref, manifest_digest: image.manifestDigest },
    ...(lazy === undefined ? {} : { lazy: recordLazy({ ...lazy, trace: request.trace }, readingOf(context, request)) }),
    defaults: { env: environmentOf(env), cwd, user },
  }
}

/** What is not said is as config.toml has it now. */
function readingOf({ lazyReading }: ShedsContext, { lazy = {} }: CreateShedRequest): LazyReading {
  const { fill = lazyReading.fill, fail_after_ms = lazyReading.fail_after_ms } = lazy
  return { fill, fail_after_ms }
}

type Obtained = Pick<LazyImage, 'image'> & Partial<LazyImage>

/** As the request says, or else config.toml. */
async function obtain(
  context: ShedsContext,
  request: CreateShedRequest & { readonly image: string },
  work: LongWork,
): Promise<Obtained> {
  const { images } = context
  const { image: ref, pull, rootfs } = request
  if (request.lazy !== undefined && (pull === 'never' || pull === 'whole')) {
    throw new Problem('INVALID_REQUEST', `how an image is read in part was said, and that all of it is to be here`, {
      hint: 'leave one of the two out, or say --pull lazy',
    })
  }
  if (pull === 'never') return { image: await images.resolve(ref) }
  if (pull === 'lazy') {
    if (rootfs !== 'ext4') return await obtainUnverified(context, request, work)
    throw new Problem('INVALID_REQUEST', 'a root filesystem of its own is made of all of its image', {
      hint: 'leave --pull lazy out, or --rootfs ext4',
    })
  }
  if (pull === undefined && rootfs !== 'ext4' && context.pullPolicy(ref) === 'lazy') {
    return await obtainLazily(context, ref, work).catch(async (error: unknown) => {
      // Nobody has asked for this image to be read in part, much less unverified.
      if (!isProblem(error, 'IMAGE_UNSUPPORTED')) throw error
      return await obtainWhole(context, ref, work)
    })
  }
  return await obtainWhole(context, ref, work)
}

async function obtainWhole({ images, events }: ShedsContext, ref: string, work: LongWork): Promise<Obtained> {
  const { image, pulled } = await images.obtain(ref, work)
  if (pulled !== undefined) events.append({ type: 'image.pulled', subject: ref, message: `${ref} is pulled` })
  return { image }
}

/** Also what cannot be verified before all of it is here: whoever has it read says so himself. */
async function obtainUnverified(
  context: ShedsContext,
  { name, image: ref }: { readonly name: string; readonly image: string },
  work: LongWork,
): Promise<Obtained> {
  const found = await obtainLazily(context, ref, { ...work, unverified: true })
  if (found.lazy?.plain === true) {
    const message = `${ref} is one erofs image without a chunk index: nothing of it is verified before all of it is here`
    const data = { chunk_index_digest: found.lazy.chunkIndex, sheds: [name] }
    context.events.append({ type: 'lazy.unverified', subject: ref, message, data })
  }
  return found
}

async function obtainLazily({ images, events }: ShedsContext, ref: string, how: BringLazily): Promise<LazyImage> {
  const found = await images.bringLazily(ref, how)
  if (found.isNew) events.append({ type: 'image.attached', subject: ref, message: `${ref} is fetched as it is read` })
  return found
}

/** `KEY=value` words of an image's config as a record; a word without `=` is none. */
function environmentOf(words: readonly string[]): Record<string, string> {
  const pairs = words.filter((word) => word.indexOf('=') > 0)
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))
}
