/**
 * The rules of layers once more, as a map of paths that is changed entry by entry, the way a person would explain them. It shares no code and no
 * idea with the flattener: no tree, no overlay, no merge. Slow, and only for the few names that tests make up.
 */
import type { LayerEntry } from '../../formats/index.ts'

interface Node {
  readonly kind: 'directory' | 'leaf' | 'symlink'
  /** What linesOf shows of it behind its path. */
  readonly text: string
  readonly attributes: string
  readonly target: string
}

interface State {
  /** What there is, by path; directories too, the root is ''. */
  now: Map<string, Node>
  /** The same with nothing deleted by this layer. */
  whole: Map<string, Node>
  /** Paths that this layer has made. */
  mine: Set<string>
}

const missing: Node = { kind: 'directory', text: '/', attributes: '755 0:0 0.000000000', target: '' }

/** @returns lines as linesOf writes them with attributes, or undefined when the layers are to be refused */
export function naiveLines(layers: readonly (readonly LayerEntry[])[]): string[] | undefined {
  let now = new Map([['', missing]])
  for (const layer of layers) {
    const state: State = { now, whole: new Map(now), mine: new Set() }
    for (const entry of layer) if (!applyEntry(state, entry)) return undefined
    now = state.now
  }
  return linesOfMap(now)
}

function applyEntry(state: State, entry: LayerEntry): boolean {
  const names = entry.path
    .toString('latin1')
    .split('/')
    .filter((name) => name !== '' && name !== '.')
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
      now.set(ancestor, missing)
      mine.add(ancestor)
    }
    // A deleted file or symlink may be in the way there.
    if (whole.get(ancestor)?.kind !== 'directory') whole.set(ancestor, missing)
  }
}

/** Takes away what lower layers have there; what this layer made stays, in directories made anew if theirs are gone. */
function hide({ now, mine }: State, where: { readonly at?: string; readonly below?: string }): void {
  remove(now, (path) => !mine.has(path) && (path === where.at || isBelow(path, where.at ?? where.below ?? '')))
  for (const path of mine) for (const ancestor of ancestorsOf(path)) if (!now.has(ancestor)) now.set(ancestor, missing)
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
      if (found.target.startsWith('/')) at = []
      rest = [...found.target.split('/').filter((part) => part !== '' && part !== '.'), ...rest]
    } else if (found?.kind === 'leaf') return 'blocked'
    else at.push(name)
  }
  return at.join('/')
}

function nodeOf(entry: LayerEntry): Node {
  const { mode, uid, gid, mtimeSeconds } = entry
  const attributes = `${mode.toString(8)} ${uid}:${gid} ${mtimeSeconds}.000000000`
  if (entry.type === 'directory') return { kind: 'directory', text: '/', attributes, target: '' }
  if (entry.type === 'symlink') {
    const target = entry.linkTarget.toString('latin1')
    return { kind: 'symlink', text: ` -> ${target}`, attributes, target }
  }
  const content = entry.type === 'file' && entry.content.kind === 'inline' ? entry.content.bytes.toString('latin1') : ''
  return { kind: 'leaf', text: ` ${JSON.stringify(content)}`, attributes, target: '' }
}

function linesOfMap(now: Map<string, Node>): string[] {
  const firstNames = new Map<Node, string>()
  const inTreeOrder = [...now.keys()].sort((a, b) => compareParts(a.split('/'), b.split('/')))
  return inTreeOrder.map((path) => {
    const node = now.get(path) ?? missing
    if (node.kind === 'directory') return `${path}/ ${node.attributes}`
    const first = firstNames.get(node)
    if (first !== undefined) return `${path} = ${first}`
    firstNames.set(node, path)
    return `${path}${node.text} ${node.attributes}`
  })
}

function compareParts(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [left, right] = [a[i], b[i]]
    if (left === right) continue
    return left === undefined || (right !== undefined && left < right) ? -1 : 1
  }
  return 0
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
