import { Problem } from '../../base/index.ts'
import type { ByteName, DirectoryNode } from '../../formats/index.ts'
import { maxNameBytes } from './layer-path.ts'
import { coversLower, type LeafNode, type OverlayDirectory, overlayDirectory } from './overlay-directory.ts'

/**
 * What of the lower tree is seen: `visible` is what the whiteouts so far have left; `whole` is the lower tree as the layers below left it,
 * which hard links may still reach.
 */
export type View = 'visible' | 'whole'

/** Where a walk stands. */
export interface Position {
  readonly directory: OverlayDirectory
  /** Whether this layer takes away the lower counterpart of the directory. */
  readonly covered: boolean
}

/** What a walk may cost; shared by all layers of an image, so that symlinks to symlinks to long paths cannot burn hours. */
export interface WalkBudget {
  steps: number
  directories: number
}

/** As Linux allows, path_resolution(7). */
const maxSymlinks = 40
export const maxDepth = 1024

interface Step {
  readonly name: ByteName
  /** Undefined where there is nothing yet. */
  readonly position: Position | undefined
}

/** Walks paths of one layer, symlinks and all, and never above the root of the image. */
export class DirectoryFinder {
  readonly #root: OverlayDirectory
  readonly #budget: WalkBudget

  constructor(root: OverlayDirectory, budget: WalkBudget) {
    this.#root = root
    this.#budget = budget
  }

  /** The directory at a path; undefined when there is none. */
  find(path: readonly ByteName[], view: View): Position | undefined {
    return this.#walk(path, view)?.at(-1)?.position
  }

  /**
   * The directory at a path, made with all that is missing above it, and marked as added. A symlink to nowhere leads to a new directory
   * where it points.
   *
   * @throws Problem LAYER_INVALID when something that is not a directory stands in the way
   */
  add(path: readonly ByteName[]): Position {
    const steps = this.#walk(path, 'visible')
    if (steps === undefined) throw new Problem('LAYER_INVALID', 'something above it is not a directory')
    let parent: Position = { directory: this.#root, covered: false }
    for (const { name, position } of steps) {
      parent = position ?? this.#makeDirectory(parent, name)
      parent.directory.added = true
    }
    return parent
  }

  /** @returns the way to the path's directory, from the root on; undefined when it goes through something that is not a directory */
  #walk(path: readonly ByteName[], view: View): Step[] | undefined {
    const steps: Step[] = [{ name: '', position: { directory: this.#root, covered: false } }]
    const pending = path.toReversed()
    let symlinks = 0
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      this.#spendStep()
      if (name === '..') {
        if (steps.length > 1) steps.pop()
        continue
      }
      const found = childAt(steps.at(-1)?.position, name, view)
      if (found?.kind === 'symlink') {
        if (++symlinks > maxSymlinks) throw new Problem('LAYER_INVALID', `more than ${maxSymlinks} symlinks lead to it`)
        const target = found.target.toString('latin1')
        if (target.startsWith('/')) steps.length = 1
        pending.push(...linkComponents(target))
        continue
      }
      if (found !== undefined && found.kind !== 'overlay') return undefined
      if (steps.length > maxDepth) throw new Problem('LIMIT_EXCEEDED', `it is more than ${maxDepth} directories deep`)
      steps.push({ name, position: found && enter(steps.at(-1)?.position, name, found) })
    }
    return steps
  }

  #makeDirectory(parent: Position, name: ByteName): Position {
    if (name.length > maxNameBytes) {
      throw new Problem('LAYER_INVALID', `a symlink leads to a name of ${name.length} bytes`)
    }
    if (--this.#budget.directories < 0) throw new Problem('LIMIT_EXCEEDED', 'the image has too many directories')
    const directory = overlayDirectory(coveredDirectory(parent, name))
    parent.directory.children.set(name, directory)
    return enter(parent, name, directory)
  }

  #spendStep(): void {
    if (--this.#budget.steps < 0) throw new Problem('LIMIT_EXCEEDED', 'the paths of the image take too long to resolve')
  }
}

/** What a name stands for: what this layer put there, else what the lower tree has. */
export function childAt(
  position: Position | undefined,
  name: ByteName,
  view: View,
): OverlayDirectory | LeafNode | undefined {
  if (position === undefined) return undefined
  const { directory, covered } = position
  const own = directory.children.get(name)
  if (own !== undefined) return own
  if (view === 'visible' && (covered || coversLower(directory, name))) return undefined
  const below = directory.lower?.children.get(name)
  if (below?.kind !== 'directory') return below
  const entered = overlayDirectory(below)
  directory.children.set(name, entered)
  return entered
}

/** The lower directory that a whiteout hides at a name where nothing is seen: only hard links still reach what it held. */
export function coveredDirectory({ directory }: Position, name: ByteName): DirectoryNode | undefined {
  const below = directory.lower?.children.get(name)
  return below?.kind === 'directory' ? below : undefined
}

function enter(parent: Position | undefined, name: ByteName, directory: OverlayDirectory): Position {
  const covered = parent === undefined || parent.covered || coversLower(parent.directory, name)
  return { directory, covered }
}

/** The components of a symlink's target, last one first. */
function linkComponents(target: ByteName): ByteName[] {
  return target
    .split('/')
    .filter((name) => name !== '' && name !== '.')
    .reverse()
}
