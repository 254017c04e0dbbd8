import { isProblem, Problem } from '../../base/index.ts'
import type { ByteName, DirectoryNode, LayerEntry } from '../../formats/index.ts'
import { childAt, coveredDirectory, DirectoryFinder, type Position, type WalkBudget } from './find-directory.ts'
import { invalidEntry } from './invalid-entry.ts'
import { meaningOf, parseLayerPath } from './layer-path.ts'
import { mergeOverlay } from './merge-overlay.ts'
import { attributesOf, type LayerBlobOfTree, leafOfEntry } from './node-of-entry.ts'
import { type LeafNode, type OverlayDirectory, overlayDirectory } from './overlay-directory.ts'

export interface ApplyOptions {
  /** What the layers below made; changed in place. */
  readonly lower: DirectoryNode
  readonly entries: Iterable<LayerEntry>
  readonly data: LayerBlobOfTree
  readonly budget: WalkBudget
  readonly warn: (entry: LayerEntry, message: string) => void
}

/** A layer half applied. */
interface Overlay extends Omit<ApplyOptions, 'lower' | 'entries'> {
  readonly root: OverlayDirectory
  readonly finder: DirectoryFinder
}

/**
 * Applies one layer to the tree that the layers below it made: first all entries, in order, to an overlay; then the overlay, whiteouts first.
 *
 * @returns the root of the new tree
 * @throws Problem LAYER_INVALID, LIMIT_EXCEEDED; the lower tree is then unchanged
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md
 */
export function applyLayer({ lower, entries, ...rest }: ApplyOptions): DirectoryNode {
  const root = overlayDirectory(lower)
  const overlay = { ...rest, root, finder: new DirectoryFinder(root, rest.budget) }
  for (const entry of entries) applyNamed(overlay, entry)
  return mergeOverlay(root)
}

/** Every complaint about an entry names it. */
function applyNamed(overlay: Overlay, entry: LayerEntry): void {
  try {
    applyEntry(overlay, entry)
  } catch (error) {
    if (!isProblem(error) || error.data?.entry !== undefined) throw error
    const { message, hint, data } = invalidEntry(entry.path, error.message)
    throw new Problem(error.code, message, { ...(hint && { hint }), ...(data && { data }) })
  }
}

function applyEntry(overlay: Overlay, entry: LayerEntry): void {
  const components = parseLayerPath(entry.path)
  const meaning = meaningOf(entry.path, components, entry.type === 'directory')
  switch (meaning.kind) {
    case 'ignored':
      return
    case 'addition':
      addEntry(overlay, entry, components)
      return
    case 'opaque':
      markOpaque(overlay, components.slice(0, -1))
      return
    case 'whiteout':
      markWhiteout(overlay, components.slice(0, -1), meaning.name)
  }
}

function markOpaque({ finder }: Overlay, parent: readonly ByteName[]): void {
  const position = finder.find(parent, 'visible')
  if (position !== undefined) position.directory.opaque = true
}

function markWhiteout({ finder }: Overlay, parent: readonly ByteName[], name: ByteName): void {
  const directory = finder.find(parent, 'visible')?.directory
  if (directory === undefined) return
  directory.whiteouts ??= new Set()
  directory.whiteouts.add(name)
}

function addEntry(overlay: Overlay, entry: LayerEntry, components: readonly ByteName[]): void {
  const name = components.at(-1)
  if (name === undefined) {
    addRoot(overlay, entry)
  } else if (entry.type === 'directory') {
    addDirectory(overlay, entry, overlay.finder.add(components.slice(0, -1)), name)
  } else {
    const leaf = entry.type === 'hardlink' ? linkedNode(overlay, entry) : newLeaf(overlay, entry)
    overlay.finder.add(components.slice(0, -1)).directory.children.set(name, leaf)
  }
}

function newLeaf({ data, warn }: Overlay, entry: Exclude<LayerEntry, { type: 'directory' | 'hardlink' }>): LeafNode {
  return leafOfEntry(entry, data, (message) => warn(entry, message))
}

function addRoot({ root, warn }: Overlay, entry: LayerEntry): void {
  // CVE-2021-29136: a symlink in place of the root sends all that follows elsewhere.
  if (entry.type !== 'directory') throw invalidEntry(entry.path, 'the root of an image can only be a directory')
  root.attributes = attributesOf(entry, (message) => warn(entry, message))
  root.added = true
}

function addDirectory({ budget, warn }: Overlay, entry: LayerEntry, parent: Position, name: ByteName): void {
  const attributes = attributesOf(entry, (message) => warn(entry, message))
  const found = childAt(parent, name, 'visible')
  const directory =
    found?.kind === 'overlay'
      ? found
      : overlayDirectory(found === undefined ? coveredDirectory(parent, name) : undefined)
  if (directory !== found && --budget.directories < 0) {
    throw new Problem('LIMIT_EXCEEDED', 'the image has too many directories')
  }
  parent.directory.children.set(name, directory)
  directory.attributes = attributes
  directory.added = true
}

/**
 * The inode that a hard link is one more name of. A link to what a whiteout of the same layer takes away still finds it: a layer is a set of
 * changes to what was below, and that is where the file was.
 */
function linkedNode({ finder, warn }: Overlay, entry: Extract<LayerEntry, { type: 'hardlink' }>): LeafNode {
  const target = parseLayerPath(entry.linkTarget)
  const name = target.at(-1)
  if (name === undefined) throw invalidEntry(entry.path, 'is a hard link to the root directory')
  const find = (view: 'visible' | 'whole') => childAt(finder.find(target.slice(0, -1), view), name, view)
  let found = find('visible')
  if (found === undefined) {
    found = find('whole')
    if (found !== undefined) warn(entry, 'is a hard link to a file that the same layer deletes; it keeps the content')
  }
  if (found === undefined)
    throw invalidEntry(entry.path, `is a hard link to ${quoted(entry.linkTarget)}, which is not there before it`)
  if (found.kind === 'overlay')
    throw invalidEntry(entry.path, `is a hard link to the directory ${quoted(entry.linkTarget)}`)
  return found
}

function quoted(path: Buffer): string {
  return JSON.stringify(path.subarray(0, 300).toString())
}
