import type { LayerEntry } from '../../../src/formats/index.ts'
import { naiveTree } from '../../../src/images/flatten/naive-layers.testkit.ts'
import { expectedOf } from '../expected-tree.ts'
import { type ReadMember, readTar } from '../read-tar.ts'
import type { TreeSnapshot } from '../snapshot-tree.ts'

/**
 * What the layers of an image add up to, by the rules of the image specification applied path by path, with no code of the flattener's. All
 * contents are in memory.
 *
 * @param tars the layers from the bottom to the top, decompressed
 */
export function snapshotOfLayers(tars: readonly Buffer[]): TreeSnapshot {
  const tree = naiveTree(tars.map(entriesOf))
  if (tree === undefined) throw new Error('the rules refuse these layers')
  return expectedOf(tree, () => {
    throw new Error('every content is inline here')
  })
}

function entriesOf(tar: Buffer): LayerEntry[] {
  return readTar(tar).members.map(entryOf)
}

function entryOf({ entry, content }: ReadMember): LayerEntry {
  const { path, mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs, type } = entry
  const attributes = { path, mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs }
  switch (type) {
    case 'file':
      return { ...attributes, type, size: content.length, content: { kind: 'inline', bytes: content } }
    case 'hardlink':
    case 'symlink':
      return { ...attributes, type, linkTarget: entry.linkTarget }
    case 'char':
    case 'block':
      return { ...attributes, type, major: entry.major, minor: entry.minor }
    case 'directory':
    case 'fifo':
      return { ...attributes, type }
  }
}
