import { Problem, printableBytes } from '../../base/index.ts'
import { paddingOf } from './byte-feed.ts'
import { blockSize, fields } from './header-block.ts'
import { charsetRecords, paxRecord, paxTimeText } from './pax-writer.ts'
import type { TarEntry } from './tar-entry.ts'
import { fitsOctal, type UstarFields, ustarBlock } from './ustar-block.ts'
import { schilyKey } from './xattr-records.ts'

/** What a member needs to be written. What is left out is 0 or empty; the mode is what is usual for the type. */
export type WritableEntry = Pick<TarEntry, 'path' | 'type'> & Partial<TarEntry>

/**
 * The header of a member: one ustar block, with a PAX header before it when ustar cannot say all. The content comes after it, then
 * `tarPadding`, and `tarEnd` after the last member. The bytes depend on the entry alone. A directory gets a slash after its name.
 *
 * @throws Problem TAR_INVALID for an entry that cannot be said in tar: no name, a NUL in it, a size of what is not a file, numbers out of range
 * @see POSIX.1-2024 pax, "ustar Interchange Format" and "pax Extended Header"
 */
export function tarHeader(writable: WritableEntry): Buffer {
  const entry = checkedEntry({ ...defaults, mode: defaultModes[writable.type], ...writable })
  const path = entry.type === 'directory' ? withSlash(entry.path) : entry.path
  const split = splitPath(path)
  const block = ustarBlock({ ...entry, ...(split ?? { prefix: none, name: path }), typeflag: typeflags[entry.type] })
  const records = neededRecords(entry, split === undefined ? path : undefined)
  return records.length === 0 ? block : Buffer.concat([paxMember(Buffer.concat(records)), block])
}

/** The zeros after a content of so many bytes, up to the next whole block. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc(paddingOf(size))
}

/** The two zero blocks that end an archive. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * blockSize)
}

const none = Buffer.alloc(0)
const defaults = {
  uid: 0,
  gid: 0,
  size: 0,
  mtimeSeconds: 0,
  mtimeNanoseconds: 0,
  linkTarget: none,
  major: 0,
  minor: 0,
  xattrs: [],
}
const defaultModes = {
  file: 0o644,
  hardlink: 0o644,
  symlink: 0o777,
  char: 0o600,
  block: 0o600,
  directory: 0o755,
  fifo: 0o644,
} as const satisfies Record<TarEntry['type'], number>
const typeflags = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
} as const satisfies Record<TarEntry['type'], string>

const slash = 0x2f

function withSlash(path: Buffer): Buffer {
  return path.at(-1) === slash ? path : Buffer.concat([path, Buffer.from('/')])
}

/** A name that fits ustar's two fields, in two at one of its slashes when it is long; undefined when it does not fit. */
function splitPath(path: Buffer): Pick<UstarFields, 'prefix' | 'name'> | undefined {
  if (path.length <= fields.name.length) return { prefix: none, name: path }
  // Not at the first byte: readers take an empty prefix for none, and the slash would be lost.
  const at = path.indexOf(slash, Math.max(1, path.length - fields.name.length - 1))
  if (at === -1 || at > fields.prefix.length || at === path.length - 1) return undefined
  return { prefix: path.subarray(0, at), name: path.subarray(at + 1) }
}

/** The records that say what the ustar block cannot, always in this order. */
function neededRecords(entry: TarEntry, longPath: Buffer | undefined): Buffer[] {
  const longLink = entry.linkTarget.length > fields.linkName.length ? entry.linkTarget : undefined
  const records = charsetRecords([longPath, longLink])
  if (longPath !== undefined) records.push(paxRecord('path', longPath))
  if (longLink !== undefined) records.push(paxRecord('linkpath', longLink))
  for (const key of ['size', 'uid', 'gid'] as const) {
    if (!fitsOctal(entry[key], fields[key])) records.push(paxRecord(key, String(entry[key])))
  }
  if (entry.mtimeNanoseconds > 0 || !fitsOctal(entry.mtimeSeconds, fields.mtime)) {
    records.push(paxRecord('mtime', paxTimeText({ seconds: entry.mtimeSeconds, nanoseconds: entry.mtimeNanoseconds })))
  }
  for (const { name, value } of entry.xattrs) records.push(paxRecord(schilyKey(name), value))
  return records
}

/** The member that carries the records. Its own name is only seen by readers that do not know PAX. */
export function paxMember(body: Buffer): Buffer {
  const name = Buffer.from('PaxHeader')
  const block = ustarBlock({ ...defaults, mode: 0o644, name, prefix: none, typeflag: 'x', size: body.length })
  return Buffer.concat([block, body, tarPadding(body.length)])
}

function checkedEntry(entry: TarEntry): TarEntry {
  const complaint = complaintAbout(entry)
  if (complaint === undefined) return entry
  throw new Problem('TAR_INVALID', `${printableBytes(entry.path)} cannot be written to a tar archive: ${complaint}`)
}

function complaintAbout(entry: TarEntry): string | undefined {
  const isLink = entry.type === 'hardlink' || entry.type === 'symlink'
  if (entry.path.length === 0 || entry.path.includes(0)) return 'its name is empty or holds a NUL'
  if (entry.type !== 'directory' && entry.path.at(-1) === slash)
    return 'its name ends with a slash and it is no directory'
  if (isLink === (entry.linkTarget.length === 0)) return 'links, and they alone, have a target'
  if (entry.linkTarget.includes(0)) return 'its target holds a NUL'
  if (entry.type !== 'file' && entry.size !== 0) return 'only files have a content'
  if (entry.xattrs.some(({ name }) => name === '' || name.includes('\0')))
    return 'the name of an xattr is empty or holds a NUL'
  return numberRanges.find(({ key, min, max }) => !isWithin(entry[key], min, max))?.complaint
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max
}

const numberRanges = (
  [
    ['mode', 0, 0o7777],
    ['uid', 0, 0xffff_ffff],
    ['gid', 0, 0xffff_ffff],
    ['size', 0, Number.MAX_SAFE_INTEGER],
    ['mtimeSeconds', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ['mtimeNanoseconds', 0, 999_999_999],
    ['major', 0, 0xfff],
    ['minor', 0, 0xfffff],
  ] as const
).map(([key, min, max]) => ({ key, min, max, complaint: `its ${key} is not between ${min} and ${max}` }))
