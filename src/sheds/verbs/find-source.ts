import { Problem, parseDigest } from '../../base/index.ts'
import type { CreateShedRequest } from '../../contract/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import type { LongWork } from '../sheds.ts'
import { type LoadedSnapshot, loadSnapshot } from '../snapshots/load-snapshot.ts'
import { isImageHere, lowerOfSnapshot } from '../snapshots/lower-of-snapshot.ts'
import type { SnapshotRecord } from '../snapshots/snapshot-record.ts'
import { shedSettings } from './shed-settings.ts'

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
  { images, events }: ShedsContext,
  { image: ref, pull }: CreateShedRequest,
  work: LongWork,
): Promise<Pick<ShedRecord, 'image' | 'defaults'>> {
  if (ref === undefined) {
    throw new Problem('INVALID_REQUEST', 'a shed is made from an image or from a snapshot', {
      hint: 'say which: --image REF or --from-snapshot NAME',
    })
  }
  const { image, pulled } =
    pull === 'never' ? { image: await images.resolve(ref), pulled: undefined } : await images.obtain(ref, work)
  if (pulled !== undefined) events.append({ type: 'image.pulled', subject: ref, message: `${ref} is pulled` })
  const { env, workingDir: cwd, user } = image.runtime
  return {
    image: { ref, manifest_digest: image.manifestDigest },
    defaults: { env: environmentOf(env), cwd, user },
  }
}

/** `KEY=value` words of an image's config as a record; a word without `=` is none. */
function environmentOf(words: readonly string[]): Record<string, string> {
  const pairs = words.filter((word) => word.indexOf('=') > 0)
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))
}
