/**
 * The rules of layers once more, as a map of paths that is changed entry by entry, the way a person would explain them. It shares no code and no
 * idea with the flattener: no tree, no overlay, no merge. Slow, and only for the few names that tests make up.
 */
import type { DirectoryNode, InodeAttributes, LayerEntry, TreeNode } from '../../formats/index.ts'

type Node = TreeNode

interface State {
  /** What there is, by path; directories too, the root is ''. */
  now: Map<string, Node>
  /** The same with nothing deleted by this layer. */
  whole: Map<string, Node>
  /** Paths that this layer has made. */
  mine: Set<string>
}

/** @returns the tree that the layers add up to, or undefined when they are to be refused */
export function naiveTree(layers: readonly (readonly LayerEntry[])[]): DirectoryNode | undefined {
  let now = new Map<string, Node>([['', missingDirectory()]])
  for (const layer of layers) {
    const state: State = { now, whole: new Map(now), mine: new Set() }
    for (const entry of layer) if (!applyEntry(state, entry)) return undefined
    now = state.now
  }
  return treeOfMap(now)
}

function applyEntry(state: State, entry: LayerEntry): boolean {
  const names = entry.path
    .toString('latin1')
    .split('/')
    .filter((name) => name !== '' && name !== '.')
  const isAufs = names.some((part) => part.startsWith('.wh..wh.') && part !== '.wh..wh..opq')
  if (isAufs) return true
  const name = names.pop()
  if (name === undefined) return entry.type === 'directory' && setNode(state, '', nodeOf(entry))
  if (name.startsWith('.wh.') && entry.type !== 'directory') {
    const parent = resolve(state.now, names)
    if (parent === 'loop') return false
    if (parent === 'blocked' || state.now.get(parent)?.kind !== 'directory') return true
    hide(state, name === '.wh..wh..opq' ? { below: parent } : { at: join(parent, name.slice(4)) })
    return true
  }
  const node = entry.type === 'hardlink' ? linkTarget(state, entry.linkTarget.toString('latin1')) : nodeOf(entry)
  const parent = resolve(state.now, names)
  if (node === undefined || parent === 'loop' || parent === 'blocked') return false
  makeParents(state, parent)
  return setNode(state, join(parent, name), node)
}

function setNode({ now, whole, mine }: State, path: string, node: Node): boolean {
  for (const map of [now, whole]) {
    const merges = node.kind === 'directory' && map.get(path)?.kind === 'directory'
    if (!merges) remove(map, (other) => isBelow(other, path))
    map.set(path, node)
  }
  if (node.kind !== 'directory') for (const other of [...mine]) if (isBelow(other, path)) mine.delete(other)
  mine.add(path)
  return true
}

function makeParents({ now, whole, mine }: State, path: string): void {
  for (const ancestor of ancestorsOf(path)) {
    if (now.get(ancestor) === undefined) {
      now.set(ancestor, missingDirectory())
      mine.add(ancestor)
    }
    // A deleted file or symlink may be in the way there.
    if (whole.get(ancestor)?.kind !== 'directory') whole.set(ancestor, missingDirectory())
  }
}

/** Takes away what lower layers have there; what this layer made stays, in directories made anew if theirs are gone. */
function hide({ now, mine }: State, where: { readonly at?: string; readonly below?: string }): void {
  remove(now, (path) => !mine.has(path) && (path === where.at || isBelow(path, where.at ?? where.below ?? '')))
  for (const path of mine)
    for (const ancestor of ancestorsOf(path)) if (!now.has(ancestor)) now.set(ancestor, missingDirectory())
}

function linkTarget({ now, whole }: State, target: string): Node | undefined {
  const names = target.split('/').filter((name) => name !== '' && name !== '.')
  const name = names.pop() ?? ''
  for (const map of [now, whole]) {
    const parent = resolve(map, names)
    if (parent === 'loop') return undefined
    const found = parent === 'blocked' ? undefined : map.get(join(parent, name))
    if (found !== undefined) return found.kind === 'directory' ? undefined : found
  }
  return undefined
}

/** The path that names lead to when symlinks are followed, whether it is there or not. */
function resolve(map: Map<string, Node>, names: readonly string[]): string | 'loop' | 'blocked' {
  let rest = [...names]
  let at: string[] = []
  for (let symlinks = 0; rest.length > 0; ) {
    const [name = '', ...others] = rest
    rest = others
    const found = name === '..' ? undefined : map.get([...at, name].join('/'))
    if (name === '..') at = at.slice(0, -1)
    else if (found?.kind === 'symlink') {
      if (++symlinks > 40) return 'loop'
      const target = found.target.toString('latin1')
      if (target.startsWith('/')) at = []
      rest = [...target.split('/').filter((part) => part !== '' && part !== '.'), ...rest]
    } else if (found !== undefined && found.kind !== 'directory') return 'blocked'
    else at.push(name)
  }
  return at.join('/')
}

function nodeOf(entry: Exclude<LayerEntry, { type: 'hardlink' }>): Node {
  const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs } = entry
  const attributes = { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs }
  switch (entry.type) {
    case 'directory':
      return { ...attributes, kind: 'directory', children: new Map() }
    case 'symlink':
      return { ...attributes, kind: 'symlink', target: entry.linkTarget }
    case 'file':
      if (entry.content.kind !== 'inline') throw new Error('the naive model wants its contents inline')
      return { ...attributes, kind: 'file', size: entry.size, data: entry.content }
    case 'char':
    case 'block':
      return { ...attributes, kind: entry.type, major: entry.major, minor: entry.minor }
    case 'fifo':
      return { ...attributes, kind: 'fifo' }
  }
}

function missingDirectory(): Node {
  const attributes: InodeAttributes = { mode: 0o755, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0, xattrs: [] }
  return { ...attributes, kind: 'directory', children: new Map() }
}

/** Hangs every node into its directory, now that it is known which there are. */
function treeOfMap(now: Map<string, Node>): DirectoryNode {
  const directories = new Map<string, DirectoryNode>()
  for (const [path, node] of now) if (node.kind === 'directory') directories.set(path, { ...node, children: new Map() })
  for (const [path, node] of now) {
    if (path === '') continue
    const slash = path.lastIndexOf('/')
    const parent = directories.get(path.slice(0, Math.max(0, slash)))
    parent?.children.set(path.slice(slash + 1), directories.get(path) ?? node)
  }
  const root = directories.get('')
  if (root === undefined) throw new Error('the model lost its root')
  return root
}

function remove(map: Map<string, Node>, isGone: (path: string) => boolean): void {
  for (const path of [...map.keys()]) if (path !== '' && isGone(path)) map.delete(path)
}

const isBelow = (path: string, ancestor: string) => ancestor === '' || path.startsWith(`${ancestor}/`)
const join = (parent: string, name: string) => (parent === '' ? name : `${parent}/${name}`)

/** From the top to the path itself. */
function ancestorsOf(path: string): string[] {
  const parts = path.split('/')
  return path === '' ? [] : parts.map((_, i) => parts.slice(0, i + 1).join('/'))
}
