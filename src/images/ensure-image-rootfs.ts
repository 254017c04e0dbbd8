import type { Digest } from '../base/index.ts'
import { derivedFiles } from './cache/derived-files.ts'
import { noteUse } from './cache/note-use.ts'
import { buildable } from './ensure-image-lower.ts'
import type { ImagesContext } from './images-context.ts'
import type { LongWork } from './long-work.ts'
import { plainWhole } from './lowers/lower-kind.ts'
import { ensureRootfs } from './rootfs/ensure-rootfs.ts'
import { findRootfs, type RootfsImage } from './rootfs/find-rootfs.ts'

/**
 * The root filesystem of a manifest that is in the store, built when it is not there. The caller holds the image until it has its clone.
 *
 * @throws Problem RECORD_INVALID when the manifest or its config cannot be read, IMAGE_INCOMPLETE when layers are missing, and whatever
 *   building throws
 */
export async function ensureImageRootfs(
  context: ImagesContext,
  manifest: Digest,
  work: LongWork,
): Promise<RootfsImage> {
  const { layout, leases } = context
  // An eviction that began before the caller held the image may still take it away.
  await leases.settled()
  const present = findRootfs(layout, manifest)
  if (present !== undefined) {
    await noteUse([present])
    return present
  }
  const { layers } = await buildable(context, manifest, [plainWhole])
  const built = await ensureRootfs({ layout, manifest, layers, ...work })
  await noteUse(layers.flatMap(({ diffId }) => derivedFiles(layout, 'layer', diffId)))
  return built
}
