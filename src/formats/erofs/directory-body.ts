import { encodeDirectoryBlock, packDirectory } from './directory-blocks.ts'
import { slotBytes } from './inode-core.ts'
import type { Body, PlannedEntry } from './planned-inode.ts'
import { blockSize } from './tree.ts'

/** The content of a directory with these entries, sorted by name. */
export function directoryBody(entries: readonly PlannedEntry[]): Body {
  const { starts, size } = packDirectory(entries.map(({ name }) => name))
  return {
    size,
    block(index) {
      const bytes = Math.min(blockSize, size - index * blockSize)
      const dirents = entries
        .slice(starts[index], starts[index + 1])
        .map(({ name, inode }) => ({ name, nid: inode.place.offset / slotBytes, kind: inode.node.kind }))
      return encodeDirectoryBlock(dirents, bytes)
    },
  }
}
