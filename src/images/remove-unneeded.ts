import type { ImagesContext } from './images-context.ts'
import { type Reachable, type RemovalFile, reachable } from './plan-removal.ts'
import { removeFiles } from './remove-image.ts'

/** A file that is named after what it holds, and that no image seems to have. */
export type UnneededFile = Pick<RemovalFile, 'kind' | 'path' | 'digest'>

/**
 * Removes those of some files that nothing needs: no image, no shed, no work in flight. That is looked at here, where nothing can come to need
 * one between the look and the removal, and not believed from whoever asks.
 *
 * @returns the paths that were removed
 * @throws Problem RECORD_INVALID when anything that might need them cannot be read: then nothing has been removed
 */
export function removeUnneeded(context: ImagesContext, files: readonly UnneededFile[]): Promise<ReadonlySet<string>> {
  return context.leases.removal(async () => {
    const needed = await reachable(context)
    const removed = await removeFiles(
      context,
      files.filter((file) => !isNeeded(file, needed)),
    )
    return new Set(removed.map(({ path }) => path))
  })
}

function isNeeded({ kind, digest }: UnneededFile, { blobs, diffIds, manifests }: Reachable): boolean {
  return { blob: blobs, layer: diffIds, lower: manifests }[kind].has(digest)
}
