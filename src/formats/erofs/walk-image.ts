import { type Problem, printableBytes } from '../../base/index.ts'
import type { ImageSource } from './image-source.ts'
import { extendedBytes } from './inode-core.ts'
import { invalidImage } from './invalid.ts'
import { readDirectory } from './read-directory.ts'
import { type Inode, readInode } from './read-inode.ts'
import type { ByteName } from './tree.ts'

/** A name in the image, and what it names. */
export interface WalkedName {
  /** Empty for the root. */
  readonly name: ByteName
  /** Names of one inode give the same object. */
  readonly inode: Inode
  /** The directory that holds the name; undefined for the root. */
  readonly parent: WalkedName | undefined
}

/** The path of a name, without a leading slash. It is built on demand: a hostile image may nest paths of megabytes. */
export function walkedPath(walked: WalkedName): ByteName {
  const names: ByteName[] = []
  for (let at = walked; at.parent !== undefined; at = at.parent) names.push(at.name)
  return names.reverse().join('/')
}

/** A problem with what a name stands for. The path is cut where a hostile image makes it endless. */
export function unsoundName(walked: WalkedName, why: string): Problem {
  return invalidImage(`/${printableBytes(Buffer.from(walkedPath(walked).slice(0, maxShownPath), 'latin1'))}: ${why}`)
}

const maxShownPath = 4096

/**
 * Every name of an image, a directory before what it holds. Ends for any image: an inode is read once, a directory that turns up a second
 * time is an error, and all that is read may not be more than the image has, because sound inodes and directories share no bytes.
 *
 * @throws Problem EROFS_INVALID
 */
export function* walkImage(source: ImageSource): Generator<WalkedName> {
  const walk: Walk = { source, inodes: new Map(), bytes: 0 }
  const root: WalkedName = { name: '', inode: visitInode(walk, source.superblock.rootNid), parent: undefined }
  if (root.inode.kind !== 'directory') throw invalidImage('its root is not a directory')
  yield root
  const pending = [root]
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    const subdirectories: WalkedName[] = []
    for (const walked of childrenOf(walk, directory)) {
      if (walked.inode.kind === 'directory') subdirectories.push(walked)
      yield walked
    }
    for (const subdirectory of subdirectories.reverse()) pending.push(subdirectory)
  }
}

interface Walk {
  readonly source: ImageSource
  readonly inodes: Map<number, Inode>
  bytes: number
}

function* childrenOf(walk: Walk, directory: WalkedName): Generator<WalkedName> {
  const { inode } = directory
  spend(walk, inode.size)
  const parentNid = directory.parent?.inode.nid ?? inode.nid
  let dots = 0
  for (const { name, nid, kind } of readDirectory(walk.source, inode)) {
    if (name === '.' || name === '..') {
      if (nid !== (name === '.' ? inode.nid : parentNid))
        throw unsoundName(directory, `its ${name} is another directory`)
      dots++
      continue
    }
    const known = walk.inodes.get(nid)
    const child = known ?? visitInode(walk, nid)
    const walked = { name, inode: child, parent: directory }
    if (child.kind !== kind) throw unsoundName(walked, `it is listed as ${kind} but is ${child.kind}`)
    if (known?.kind === 'directory') throw unsoundName(walked, 'it is a directory with another name already')
    yield walked
  }
  if (dots !== 2) throw unsoundName(directory, 'it lacks . or ..')
}

function visitInode(walk: Walk, nid: number): Inode {
  const inode = readInode(walk.source, nid)
  walk.inodes.set(nid, inode)
  // Slots are 32 bytes, so that two extended inodes may overlap by half; xattr areas may not.
  spend(walk, extendedBytes / 2 + inode.xattrBytes)
  return inode
}

function spend(walk: Walk, bytes: number): void {
  walk.bytes += bytes
  if (walk.bytes > walk.source.bytes) throw invalidImage('its inodes or directories overlap')
}
