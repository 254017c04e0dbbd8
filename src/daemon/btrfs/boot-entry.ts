import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errnoCode, Problem, problemFromSystem } from '../../base/index.ts'
import { writeFileAtomically } from '../../host/index.ts'
import { mountOptions } from './mount-options.ts'

/** What mounts a filesystem when the host boots. */
export type BootEntry = 'fstab' | 'systemd'

export interface BootMount {
  readonly root: string
  readonly file: string
  /** `/etc`, but in tests. */
  readonly etc: string
}

/**
 * Writes what mounts the file at the next boot; again, it changes nothing.
 *
 * @returns the path of what says so
 * @throws Problem FILE_EXISTS when fstab mounts something else there
 */
export async function writeBootEntry(entry: BootEntry, mount: BootMount): Promise<string> {
  const path = entry === 'fstab' ? join(mount.etc, 'fstab') : join(mount.etc, 'systemd/system', unitName(mount.root))
  const before = await textOf(path)
  const after = entry === 'fstab' ? fstabWith(before, mount) : unitOf(mount)
  if (after === before) return path
  try {
    await mkdir(dirname(path), { recursive: true })
  } catch (error) {
    throw problemFromSystem(error, `make ${dirname(path)}`)
  }
  await writeFileAtomically(path, after, { mode: 0o644 })
  return path
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return ''
    throw problemFromSystem(error, `read ${path}`)
  }
}

/** @see fstab(5) */
function fstabWith(text: string, { root, file }: BootMount): string {
  const [source, target] = [file, root].map(octalSpaces)
  // A host whose sheds cannot be mounted should boot all the same.
  const line = `${source} ${target} btrfs loop,${mountOptions},nofail 0 0`
  const lines = text.replace(/\n$/, '').split('\n')
  const at = lines.findIndex((entry) => !entry.trimStart().startsWith('#') && entry.trim().split(/\s+/)[1] === target)
  if (at === -1) return `${text === '' || text.endsWith('\n') ? text : `${text}\n`}${line}\n`
  if (lines[at]?.trim().split(/\s+/)[0] !== source) {
    throw new Problem('FILE_EXISTS', `fstab mounts something else at ${root}: ${lines[at]}`, {
      hint: 'remove that line, and try again',
    })
  }
  return `${lines.with(at, line).join('\n')}\n`
}

function octalSpaces(path: string): string {
  return path.replaceAll(/[\s\\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`)
}

/** @see systemd.mount(5) */
function unitOf({ root, file }: BootMount): string {
  const [what, where] = [file, root].map(literal)
  // A list of paths: one with spaces stands in quotes.
  const below = literal(dirname(file)).replaceAll(/[\\"]/g, '\\$&')
  return `[Unit]
Description=Data directory of cowshed
RequiresMountsFor="${below}"

[Mount]
What=${what}
Where=${where}
Type=btrfs
Options=loop,${mountOptions}

[Install]
WantedBy=multi-user.target
`
}

/** `%` stands for something else in a unit. */
function literal(path: string): string {
  return path.replaceAll('%', '%%')
}

/** A mount unit must be called as its mount point is. @see systemd.unit(5), "String Escaping for Inclusion in Unit Names" */
function unitName(root: string): string {
  const bytes = [...Buffer.from(root.slice(1))]
  const escaped = bytes.map((byte, at) => {
    const char = String.fromCharCode(byte)
    if (char === '/') return '-'
    const isPlain = /[A-Za-z0-9:_.]/.test(char) && !(at === 0 && char === '.')
    return isPlain ? char : `\\x${byte.toString(16).padStart(2, '0')}`
  })
  return `${escaped.join('')}.mount`
}
