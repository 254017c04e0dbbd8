import type { DirectoryNode, LayerEntry, TreeNode } from '../../formats/index.ts'
import { type FlattenedImage, flattenLayers } from './flatten-layers.ts'

type Attributes = Partial<Pick<LayerEntry, 'mode' | 'uid' | 'gid' | 'mtimeSeconds' | 'mtimeNanoseconds' | 'xattrs'>>

export function file(path: string | Buffer, content = '', attributes: Attributes = {}): LayerEntry {
  const bytes = Buffer.from(content)
  return { ...common(path, 0o644), ...attributes, type: 'file', size: bytes.length, content: { kind: 'inline', bytes } }
}

export function dir(path: string, attributes: Attributes = {}): LayerEntry {
  return { ...common(path, 0o755), ...attributes, type: 'directory' }
}

export function symlink(path: string, target: string | Buffer, attributes: Attributes = {}): LayerEntry {
  return { ...common(path, 0o777), ...attributes, type: 'symlink', linkTarget: Buffer.from(target as string) }
}

export function hardlink(path: string, target: string): LayerEntry {
  return { ...common(path, 0o644), type: 'hardlink', linkTarget: Buffer.from(target) }
}

export function device(path: string, type: 'char' | 'block', [major, minor]: readonly [number, number]): LayerEntry {
  return { ...common(path, 0o600), type, major, minor }
}

export function fifo(path: string): LayerEntry {
  return { ...common(path, 0o644), type: 'fifo' }
}

/** A whiteout of `name` in `directory`: `whiteout('etc/', 'passwd')`, `whiteout('', 'etc')`. */
export function whiteout(directory: string, name: string): LayerEntry {
  return file(`${directory}.wh.${name}`)
}

export function opaque(directory: string): LayerEntry {
  return file(`${directory}.wh..wh..opq`)
}

function common(path: string | Buffer, mode: number) {
  const bytes = Buffer.from(path as string)
  return { path: bytes, mode, uid: 0, gid: 0, mtimeSeconds: 1000, mtimeNanoseconds: 0, xattrs: [] }
}

export function flatten(...layers: readonly (readonly LayerEntry[])[]): FlattenedImage {
  return flattenLayers(layers.map((entries, blob) => ({ entries, entryCount: entries.length, blob })))
}

/**
 * A tree as lines that can be written by hand, in the order of names: `d/`, `f "content"`, `l -> target`, `b = a` for a second name of the
 * inode a, `c char 1:3`, `p fifo`. Without `attributes`, only structure and content.
 */
export function linesOf(root: DirectoryNode, { attributes = false } = {}): string[] {
  const lines: string[] = []
  const firstNames = new Map<TreeNode, string>()
  const visit = (directory: DirectoryNode, prefix: string) => {
    for (const name of [...directory.children.keys()].sort()) {
      const node = directory.children.get(name) as TreeNode
      const path = `${prefix}${name}`
      const known = firstNames.get(node)
      firstNames.set(node, known ?? path)
      lines.push(known ? `${path} = ${known}` : `${lineOf(node, path)}${attributes ? ` ${attributesOf(node)}` : ''}`)
      if (node.kind === 'directory') visit(node, `${path}/`)
    }
  }
  if (attributes) lines.push(`/ ${attributesOf(root)}`)
  visit(root, '')
  return lines
}

function lineOf(node: TreeNode, path: string): string {
  switch (node.kind) {
    case 'directory':
      return `${path}/`
    case 'file':
      return `${path} ${node.data.kind === 'inline' ? JSON.stringify(node.data.bytes.toString('latin1')) : `blob ${node.data.blob} block ${node.data.startBlock} size ${node.size}`}`
    case 'symlink':
      return `${path} -> ${node.target.toString('latin1')}`
    case 'char':
    case 'block':
      return `${path} ${node.kind} ${node.major}:${node.minor}`
    default:
      return `${path} ${node.kind}`
  }
}

function attributesOf(node: TreeNode): string {
  const xattrs = node.xattrs.map(({ name, value }) => `${name}=${value.toString('hex')}`).sort()
  const time = `${node.mtimeSeconds}.${String(node.mtimeNanoseconds).padStart(9, '0')}`
  return [node.mode.toString(8), `${node.uid}:${node.gid}`, time, ...xattrs].join(' ')
}
