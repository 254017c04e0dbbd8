import { createHash } from 'node:crypto'
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import type { ByteName } from '../../src/formats/index.ts'
import { readXattrs } from './read-xattrs.ts'

/** What a person can see of one path; plain values, so that a failed comparison shows the field that differs. */
export interface PathFacts {
  readonly type: 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket'
  /** Octal, with setuid, setgid and sticky. */
  readonly mode: string
  readonly owner: string
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint
  readonly links: number
  /** The first path, in byte order, of the same inode. Its own for all that have one name. */
  readonly sameAs: ByteName
  /** Bytes; of files and symlinks only, because what a directory's size means is each filesystem's own affair. */
  readonly size?: bigint
  readonly device?: string
  readonly target?: ByteName
  /** Values in hex, by full name. */
  readonly xattrs: Readonly<Record<ByteName, string>>
  readonly sha256?: string
}

/** Every path of a tree, without leading slash; the root is ''. Sorted by bytes. */
export type TreeSnapshot = ReadonlyMap<ByteName, PathFacts>

/** Reads a whole directory tree of this machine: metadata, xattrs, links, content. */
export function snapshotOfDirectory(root: string): TreeSnapshot {
  const paths: ByteName[] = []
  const pending: ByteName[] = ['']
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    paths.push(path)
    const full = fullPath(root, path)
    if (!lstatSync(full).isDirectory()) continue
    for (const name of readdirSync(full, { encoding: 'buffer' })) {
      const text = name.toString('latin1')
      pending.push(path === '' ? text : `${path}/${text}`)
    }
  }
  const firstNames = new Map<string, ByteName>()
  return new Map(paths.sort().map((path) => [path, factsOf(fullPath(root, path), path, firstNames)]))
}

function factsOf(full: Buffer, path: ByteName, firstNames: Map<string, ByteName>): PathFacts {
  const stat = lstatSync(full, { bigint: true })
  const identity = `${stat.dev}:${stat.ino}`
  const sameAs = firstNames.get(identity) ?? path
  firstNames.set(identity, sameAs)
  const type = types.get(Number(stat.mode & 0o170000n))
  if (type === undefined) throw new Error(`${path} has mode 0${stat.mode.toString(8)}`)
  return {
    type,
    mode: (stat.mode & 0o7777n).toString(8),
    owner: `${stat.uid}:${stat.gid}`,
    mtime: stat.mtimeNs,
    links: Number(stat.nlink),
    sameAs,
    xattrs: readXattrs(full),
    ...(type === 'file' ? { size: stat.size, sha256: sha256OfFile(full) } : {}),
    ...(type === 'symlink'
      ? { size: stat.size, target: readlinkSync(full, { encoding: 'buffer' }).toString('latin1') }
      : {}),
    ...(type === 'char' || type === 'block' ? { device: deviceNumber(stat.rdev) } : {}),
  }
}

const types = new Map<number, PathFacts['type']>([
  [0o010000, 'fifo'],
  [0o020000, 'char'],
  [0o040000, 'directory'],
  [0o060000, 'block'],
  [0o100000, 'file'],
  [0o120000, 'symlink'],
  [0o140000, 'socket'],
])

/** glibc's makedev: 12 + 20 bits of major and 8 + 24 of minor, interleaved. */
function deviceNumber(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n)
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)
  return `${major}:${minor}`
}

function sha256OfFile(path: Buffer): string {
  const hash = createHash('sha256')
  const chunk = Buffer.allocUnsafe(1 << 20)
  const fd = openSync(path, 'r')
  try {
    for (let bytes = readSync(fd, chunk); bytes > 0; bytes = readSync(fd, chunk)) hash.update(chunk.subarray(0, bytes))
  } finally {
    closeSync(fd)
  }
  return hash.digest('hex')
}

function fullPath(root: string, path: ByteName): Buffer {
  return Buffer.concat([Buffer.from(root), Buffer.from(path === '' ? '' : `/${path}`, 'latin1')])
}
