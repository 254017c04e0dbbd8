import fc from 'fast-check'
import { ExtentCutter, maxExtentBytes } from './extent-cutter.ts'
import { bytesIn, type GeneratedTree, uuid } from './generated-tree.testkit.ts'
import { layoutBootstrap } from './layout-bootstrap.ts'
import { blockSize, type DirectoryNode, type Extent, type FileNode, type TreeNode } from './tree.ts'

export const clusterSizes = [1, 16] as const
export type ClusterBlocks = (typeof clusterSizes)[number]

/** The whole image of a tree with every file compressed that is larger than a block, whether that gains anything or not. */
export function compressedImageOf(tree: GeneratedTree, clusterBlocks: ClusterBlocks): Buffer {
  const { root, blob } = compressTree(tree, clusterBlocks)
  const bootstrap = layoutBootstrap(root, { uuid, blobBlocks: [blob.length / blockSize], clusterBlocks })
  return Buffer.concat([...bootstrap.chunks(), blob])
}

export function compressTree({ root, blob }: GeneratedTree, clusterBlocks: ClusterBlocks): GeneratedTree {
  const contents = bytesIn(blob)
  const clusters: Buffer[] = []
  const done = new Map<TreeNode, TreeNode>()
  const copy = (node: TreeNode): TreeNode => {
    const known = done.get(node)
    if (known !== undefined) return known
    const made = node.kind === 'file' && node.size > blockSize ? compressed(node) : other(node)
    done.set(node, made)
    return made
  }
  const compressed = (node: FileNode): FileNode => {
    const startBlock = blocksOf(clusters)
    const extents = cutAll(contents(node), clusterBlocks, clusters)
    return {
      ...node,
      data: { kind: 'compressed', blob: 0, startBlock, blocks: blocksOf(clusters) - startBlock, extents },
    }
  }
  const other = (node: TreeNode): TreeNode => {
    if (node.kind === 'directory') return { ...node, children: mapValues(node.children, copy) }
    return node.kind === 'file' ? { ...node, data: { kind: 'inline', bytes: contents(node) } } : node
  }
  const copied = copy(root)
  if (copied.kind !== 'directory') throw new Error('a root is a directory')
  return { root: copied, blob: Buffer.concat(clusters) }
}

/** The extents of a content; their blocks are added to `clusters`. */
export function cutAll(content: Buffer, clusterBlocks: ClusterBlocks, clusters: Buffer[]): Extent[] {
  const cutter = new ExtentCutter(clusterBlocks)
  const extents: Extent[] = []
  for (let at = 0; at < content.length; ) {
    const to = Math.min(content.length, at + maxExtentBytes)
    at += cutter.cut({ content, from: at, to, position: at }, (extent, cluster) => {
      extents.push(extent)
      clusters.push(Buffer.from(cluster))
    })
  }
  return extents
}

/** Content that is in turn noise, text and runs, in lengths around everything that matters. */
export const mixedContents: fc.Arbitrary<Buffer> = fc
  .array(
    fc.tuple(
      fc.constantFrom('noise', 'text', 'run'),
      fc.oneof(fc.constantFrom(1, 4095, 4096, 4097, 8192, 65_536, 65_537), fc.nat(20_000), fc.nat(150_000)),
      fc.nat(255),
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((pieces) => Buffer.concat(pieces.map(([kind, length, seed]) => pieceOf(kind, length, seed))))

function pieceOf(kind: string, length: number, seed: number): Buffer {
  if (kind === 'run') return Buffer.alloc(length, seed)
  const bytes = Buffer.alloc(length)
  let state = seed + 1
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    bytes[at] = kind === 'noise' ? state >>> 16 : 97 + ((state >>> 20) & 7)
  }
  return bytes
}

/** A flat tree of files with these contents. */
export function treeOfContents(contents: readonly Buffer[]): GeneratedTree {
  const attributes = { mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 1, mtimeNanoseconds: 0, xattrs: [] }
  const children = new Map<string, TreeNode>()
  for (const [number, bytes] of contents.entries()) {
    const xattrs = number % 3 === 0 ? [{ name: 'user.t', value: Buffer.from('abc') }] : []
    children.set(`file-${number}`, {
      ...attributes,
      xattrs,
      kind: 'file',
      size: bytes.length,
      data: { kind: 'inline', bytes },
    })
  }
  const root: DirectoryNode = { ...attributes, mode: 0o755, kind: 'directory', children }
  return { root, blob: Buffer.alloc(0) }
}

function blocksOf(clusters: readonly Buffer[]): number {
  return clusters.reduce((sum, { length }) => sum + length, 0) / blockSize
}

function mapValues(children: DirectoryNode['children'], copy: (node: TreeNode) => TreeNode): DirectoryNode['children'] {
  return new Map(Array.from(children, ([name, node]) => [name, copy(node)]))
}
