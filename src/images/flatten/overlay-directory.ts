import type { ByteName, DirectoryNode, InodeAttributes, TreeNode } from '../../formats/index.ts'

/** Whatever ends a path. */
export type LeafNode = Exclude<TreeNode, DirectoryNode>

/**
 * A directory as one layer sees it while its entries are applied: what this layer has put there, over what the layers below made. The lower
 * tree is not touched before the layer has ended (mergeOverlay), so hard links can still reach what a whiteout takes away.
 */
export interface OverlayDirectory {
  readonly kind: 'overlay'
  /** The directory of the layers below that this one goes on from; undefined when it is new or takes the place of something else. */
  readonly lower: DirectoryNode | undefined
  /** From this layer's entry for the directory itself, if it has one. */
  attributes: InodeAttributes | undefined
  /** Whether this layer adds it or anything below it. One that is here only because a path was looked up is no addition. */
  added: boolean
  readonly children: Map<ByteName, OverlayDirectory | LeafNode>
  /** Names of the lower directory that this layer takes away. */
  whiteouts: Set<ByteName> | undefined
  /** Whether this layer takes away all of the lower directory's content. */
  opaque: boolean
}

export function overlayDirectory(lower: DirectoryNode | undefined): OverlayDirectory {
  return {
    kind: 'overlay',
    lower,
    attributes: undefined,
    added: false,
    children: new Map(),
    whiteouts: undefined,
    opaque: false,
  }
}

/** Whether this layer takes `name` of the lower directory away. */
export function coversLower({ opaque, whiteouts }: OverlayDirectory, name: ByteName): boolean {
  return opaque || whiteouts?.has(name) === true
}
