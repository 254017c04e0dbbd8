import { join } from 'node:path'
import type { ByteName } from '../../../src/formats/index.ts'
import { runTool } from '../../../src/host/index.ts'
import type { PathFacts, TreeSnapshot } from '../snapshot-tree.ts'

/** What listGuestTree needs, for `needs({tools})`. */
export const guestTreeTools = ['musl-gcc']

/** Compiles the program that looks at a guest from inside. @param to where it is put */
export async function buildLister(to: string): Promise<void> {
  const source = join(import.meta.dirname, 'list-tree.c')
  await runTool('musl-gcc', ['-std=c11', '-Wall', '-Wextra', '-Werror', '-Os', '-static', '-s', '-o', to, source])
}

/** What the program has printed, as a snapshot. */
export function parseListing(text: string): TreeSnapshot {
  const listed = text
    .trimEnd()
    .split('\n')
    .map(parseLine)
    .sort((a, b) => (a.path < b.path ? -1 : 1))
  const firstNames = new Map<string, ByteName>()
  return new Map(
    listed.map(({ path, inode, facts }): [ByteName, PathFacts] => {
      const sameAs = firstNames.get(inode) ?? path
      firstNames.set(inode, sameAs)
      return [path, { ...facts, sameAs }]
    }),
  )
}

const types = {
  f: 'file',
  d: 'directory',
  l: 'symlink',
  c: 'char',
  b: 'block',
  p: 'fifo',
  s: 'socket',
} as const

function parseLine(line: string) {
  const [letter, mode, uid, gid, seconds, nanoseconds, links, dev, ino, size, major, minor, ...texts] = line.split(' ')
  const [path, target, sha256, xattrs] = texts
  const type = types[letter as keyof typeof types]
  if (type === undefined || xattrs === undefined) throw new Error(`the guest printed ${JSON.stringify(line)}`)
  const facts: Omit<PathFacts, 'sameAs'> = {
    type,
    mode: mode ?? '',
    owner: `${uid}:${gid}`,
    mtime: BigInt(seconds ?? '') * 1_000_000_000n + BigInt(nanoseconds ?? ''),
    links: Number(links),
    xattrs: parseXattrs(xattrs),
    ...(type === 'file' ? { size: BigInt(size ?? ''), sha256: sha256 ?? '' } : {}),
    ...(type === 'symlink' ? { size: BigInt(size ?? ''), target: unhex(target) } : {}),
    ...(type === 'char' || type === 'block' ? { device: `${major}:${minor}` } : {}),
  }
  return { path: unhex(path), inode: `${dev}:${ino}`, facts }
}

function parseXattrs(text: string): Record<ByteName, string> {
  if (text === '-') return {}
  const pairs = text.split(',').map((pair): [string, string] => {
    const [name, value = ''] = pair.split('=')
    return [unhex(name), value]
  })
  return Object.fromEntries(pairs.sort())
}

/** Bytes as latin1; `-` is nothing. */
function unhex(hex = '-'): ByteName {
  return hex === '-' ? '' : Buffer.from(hex, 'hex').toString('latin1')
}
