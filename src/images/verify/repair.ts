import { realpath, rm } from 'node:fs/promises'
import { isProblem, problemFromSystem } from '../../base/index.ts'
import { lockHolders } from '../../host/index.ts'
import { ensureImageLower } from '../ensure-image-lower.ts'
import { ensureImageRootfs } from '../ensure-image-rootfs.ts'
import type { ImagesContext } from '../images-context.ts'
import type { LongWork } from '../long-work.ts'
import { rebuildLayer } from '../lowers/unpack-layer.ts'
import type { BuiltLower } from './built-lowers.ts'
import type { BuiltRootfs } from './built-rootfs.ts'
import type { CachedLayerUse } from './cached-layers.ts'

/** Unpacks a layer again from its blob, which proves its diff_id; the new files take the old ones' places at once. */
export async function repairLayer(
  { layout, blobs }: ImagesContext,
  { diffId, profile, blob }: CachedLayerUse,
  { signal }: LongWork,
): Promise<void> {
  await rebuildLayer({ layout, diffId, profile, path: blobs.path(blob), ...(signal && { signal }) })
}

/** Builds a lower again. Until it is there it is not built, which every start of a shed knows how to mend. */
export async function repairLower(
  context: ImagesContext,
  { manifest, path }: BuiltLower,
  { signal }: LongWork,
): Promise<void> {
  using _hold = context.leases.holdImage(manifest)
  await remove(path)
  await ensureImageLower(context, manifest, { signal })
}

/** Builds a root filesystem again, for the next sheds that are made or reset. */
export async function repairRootfs(
  context: ImagesContext,
  { manifest, path }: BuiltRootfs,
  { signal }: LongWork,
): Promise<void> {
  using _hold = context.leases.holdImage(manifest)
  await remove(path)
  await ensureImageRootfs(context, manifest, { signal })
}

async function remove(path: string): Promise<void> {
  try {
    await rm(path, { force: true })
  } catch (error) {
    throw problemFromSystem(error, `remove ${path}`)
  }
}

/** What a repair that was not tried has come to. */
export const notTried = Symbol('not tried')

/** @returns why a repair failed; undefined when it is done @throws Problem CANCELLED */
export async function attempt(repair: () => Promise<void>): Promise<string | undefined> {
  try {
    await repair()
    return undefined
  } catch (error) {
    if (isProblem(error) && error.code !== 'CANCELLED') return error.message
    throw error
  }
}

export function outcome(complaint: string, failure: string | undefined | typeof notTried) {
  if (failure === notTried) return { repaired: false, message: complaint }
  if (failure === undefined) return { repaired: true, message: complaint }
  return { repaired: false, message: `${complaint}; it could not be mended: ${failure}` }
}

/** Whether another process, a VM as a rule, has a file open. */
export async function isOpenElsewhere(path: string): Promise<boolean> {
  return (await lockHolders(await realpath(path))).length > 0
}
