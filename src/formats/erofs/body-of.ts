import type { Body, PlannedInode } from './planned-inode.ts'
import { blockSize } from './tree.ts'

/**
 * What an inode keeps in the bootstrap besides its header; undefined when it has nothing there. Made when it is asked for: kept, it would be a good
 * part of the memory that an image of a million files takes.
 */
export function bodyOf({ node, directory }: PlannedInode): Body | undefined {
  if (node.kind === 'symlink') return bytesBody(node.target)
  if (node.kind === 'file') return node.data.kind === 'inline' ? bytesBody(node.data.bytes) : undefined
  return directory
}

function bytesBody(bytes: Buffer): Body {
  return { size: bytes.length, block: (index) => bytes.subarray(index * blockSize, (index + 1) * blockSize) }
}
