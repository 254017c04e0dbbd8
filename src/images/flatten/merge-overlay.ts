import type { DirectoryNode, InodeAttributes } from '../../formats/index.ts'
import { coversLower, type OverlayDirectory } from './overlay-directory.ts'

/** Of a directory that no layer has an entry for. The time must not depend on when or where it is made. */
export const missingDirectoryAttributes: InodeAttributes = {
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtimeSeconds: 0,
  mtimeNanoseconds: 0,
  xattrs: [],
}

/**
 * Ends a layer: takes its whiteouts out of the lower tree and puts in what it adds. Whiteouts see only the lower tree, wherever they stood
 * in the archive. The lower tree is changed in place.
 *
 * @returns the root of the merged tree, which is the root of the lower one
 */
export function mergeOverlay(root: OverlayDirectory): DirectoryNode {
  return mergeDirectory(root, false) ?? { ...missingDirectoryAttributes, kind: 'directory', children: new Map() }
}

/**
 * @param covered whether a whiteout or an opaque marker above takes away the lower directory
 * @returns undefined when nothing is left and nothing was added
 */
function mergeDirectory(overlay: OverlayDirectory, covered: boolean): DirectoryNode | undefined {
  const lower = covered ? undefined : overlay.lower
  if (lower === undefined && !overlay.added) return undefined
  const merged = lower ?? { ...missingDirectoryAttributes, kind: 'directory' as const, children: new Map() }
  if (overlay.attributes !== undefined) Object.assign(merged, overlay.attributes)
  if (overlay.opaque) merged.children.clear()
  for (const name of overlay.whiteouts ?? []) merged.children.delete(name)
  for (const [name, child] of overlay.children) {
    const node =
      child.kind === 'overlay' ? mergeDirectory(child, lower === undefined || coversLower(overlay, name)) : child
    if (node !== undefined) merged.children.set(name, node)
  }
  return merged
}
