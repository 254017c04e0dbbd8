import { createHash } from 'node:crypto'
import type { ByteName, DirectoryNode, FileNode, TreeNode } from '../../src/formats/index.ts'
import type { PathFacts, TreeSnapshot } from './snapshot-tree.ts'

/** The bytes of a file of the tree, whole or in pieces. */
export type Contents = (file: FileNode) => Buffer | Iterable<Buffer>

/** What `snapshotOfDirectory` must find where this tree is mounted. `contents` is asked once for every file with `blocks`. */
export function expectedOf(root: DirectoryNode, contents: Contents): TreeSnapshot {
  const named = namesOf(root)
  const nodes = [...named].sort(([a], [b]) => (a < b ? -1 : 1))
  const firstNames = new Map<TreeNode, ByteName>()
  const links = new Map<TreeNode, number>()
  const digests = new Map<TreeNode, string>()
  for (const [path, node] of nodes) {
    if (!firstNames.has(node)) firstNames.set(node, path)
    links.set(node, (links.get(node) ?? 0) + 1)
    if (node.kind === 'file' && !digests.has(node)) digests.set(node, sha256Of(node, contents))
  }
  return new Map(
    nodes.map(([path, node]) => {
      const nlink = node.kind === 'directory' ? 2 + subdirectories(node) : (links.get(node) ?? 0)
      return [path, factsOf(node, { nlink, sameAs: firstNames.get(node) ?? path, sha256: digests.get(node) ?? '' })]
    }),
  )
}

function factsOf(node: TreeNode, seen: { nlink: number; sameAs: ByteName; sha256: string }): PathFacts {
  return {
    type: node.kind,
    mode: node.mode.toString(8),
    owner: `${node.uid}:${node.gid}`,
    mtime: BigInt(node.mtimeSeconds) * 1_000_000_000n + BigInt(node.mtimeNanoseconds),
    links: seen.nlink,
    sameAs: seen.sameAs,
    xattrs: Object.fromEntries(
      node.xattrs.map(({ name, value }): [string, string] => [name, value.toString('hex')]).sort(),
    ),
    ...(node.kind === 'file' ? { size: BigInt(node.size), sha256: seen.sha256 } : {}),
    ...(node.kind === 'symlink' ? { size: BigInt(node.target.length), target: node.target.toString('latin1') } : {}),
    ...(node.kind === 'char' || node.kind === 'block' ? { device: `${node.major}:${node.minor}` } : {}),
  }
}

function namesOf(root: DirectoryNode): Map<ByteName, TreeNode> {
  const named = new Map<ByteName, TreeNode>([['', root]])
  const pending: [ByteName, DirectoryNode][] = [['', root]]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [path, directory] = next
    for (const [name, node] of directory.children) {
      const full = path === '' ? name : `${path}/${name}`
      named.set(full, node)
      if (node.kind === 'directory') pending.push([full, node])
    }
  }
  return named
}

function sha256Of(file: FileNode, contents: Contents): string {
  const bytes = file.data.kind === 'inline' ? file.data.bytes : contents(file)
  const hash = createHash('sha256')
  for (const piece of Buffer.isBuffer(bytes) ? [bytes] : bytes) hash.update(piece)
  return hash.digest('hex')
}

function subdirectories(directory: DirectoryNode): number {
  return [...directory.children.values()].filter(({ kind }) => kind === 'directory').length
}
