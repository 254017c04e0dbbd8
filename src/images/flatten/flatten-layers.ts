import { isProblem, Problem, printableBytes } from '../../base/index.ts'
import type { DirectoryNode, LayerEntry, LayerMap, TreeNode } from '../../formats/index.ts'
import { applyLayer } from './apply-layer.ts'
import { missingDirectoryAttributes } from './merge-overlay.ts'

export interface LayerToFlatten {
  readonly entries: Iterable<LayerEntry>
  readonly entryCount: number
  /** The number of the data blob that the positions of this layer's files refer to. */
  readonly blob: number
  /** Where a compressed data blob has what the entries say where a plain one has it. */
  readonly map?: LayerMap | undefined
}

export interface FlattenedImage {
  readonly root: DirectoryNode
  /** Numbers of the data blobs that some file of the tree still refers to. */
  readonly usedBlobs: ReadonlySet<number>
  /** What was dropped or is odd, for people. */
  readonly warnings: readonly string[]
}

/** Bounds the memory that a tree can take, about 650 bytes for each; a distribution has about 10^5. See docs/limits.md. */
const maxEntries = 2_000_000
/** Bound the time: components walked, those of symlinks included. Paths of real images have about 8. */
const stepsPerEntry = 64
const freeSteps = 1_000_000
const maxWarnings = 100

/**
 * Makes the one tree that an image's layers add up to, from the bottom layer to the top, with OCI's whiteouts applied. All of it happens to
 * values in memory: no path of a layer is ever a path of this host.
 *
 * @throws Problem LAYER_INVALID, LIMIT_EXCEEDED, naming the layer and the entry
 */
export function flattenLayers(layers: readonly LayerToFlatten[]): FlattenedImage {
  const entries = countEntries(layers)
  const warnings = new Warnings()
  const budget = { steps: freeSteps + entries * stepsPerEntry, directories: maxEntries }
  let root: DirectoryNode = { ...missingDirectoryAttributes, kind: 'directory', children: new Map() }
  for (const [number, { entries, blob, map }] of layers.entries()) {
    const warn = (entry: LayerEntry, message: string) =>
      warnings.add(`${layerName(number)}: ${printableBytes(entry.path)} ${message}`)
    try {
      root = applyLayer({ lower: root, entries, data: { blob, map }, budget, warn })
    } catch (error) {
      throw inLayer(error, number)
    }
  }
  return { root, usedBlobs: blobsOf(root), warnings: warnings.list() }
}

function countEntries(layers: readonly LayerToFlatten[]): number {
  const count = layers.reduce((sum, { entryCount }) => sum + entryCount, 0)
  if (count > maxEntries) throw new Problem('LIMIT_EXCEEDED', `the image has ${count} entries, more than ${maxEntries}`)
  return count
}

/** As people count: from 1, at the bottom. */
function layerName(number: number): string {
  return `layer ${number + 1}`
}

function inLayer(error: unknown, number: number): unknown {
  if (!isProblem(error)) return error
  const { code, message, hint, data } = error
  return new Problem(code, `${layerName(number)}: ${message}`, {
    ...(hint && { hint }),
    data: { ...data, layer: number + 1 },
  })
}

function blobsOf(root: DirectoryNode): Set<number> {
  const used = new Set<number>()
  const pending: TreeNode[] = [root]
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.kind === 'file' && node.data.kind !== 'inline') used.add(node.data.blob)
    if (node.kind === 'directory') for (const child of node.children.values()) pending.push(child)
  }
  return used
}

/** The first warnings, and how many more there were. */
class Warnings {
  readonly #kept: string[] = []
  #count = 0

  add(message: string): void {
    if (++this.#count <= maxWarnings) this.#kept.push(message)
  }

  list(): string[] {
    const more = this.#count - this.#kept.length
    return more === 0 ? this.#kept : [...this.#kept, `and ${more} more warnings`]
  }
}
