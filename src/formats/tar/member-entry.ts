import { bytesField, dialectOf, type Field, fields, numberField } from './header-block.ts'
import { type MemberExtensions, paxText, paxValue } from './member-extensions.ts'
import { type PaxTime, paxInteger, paxTime } from './pax-values.ts'
import type { TarEntry } from './tar-entry.ts'
import { limitExceeded, tarInvalid } from './tar-invalid.ts'
import type { TarLimits } from './tar-limits.ts'
import { xattrsOf } from './xattr-records.ts'

/** A member's name with every extension applied, as the archive has it. */
export function memberPath(header: Buffer, extensions: MemberExtensions): Buffer {
  return (
    paxValue(extensions, 'GNU.sparse.name') ??
    paxValue(extensions, 'path') ??
    extensions.longName ??
    joinPrefix(prefixOf(header), bytesField(header, fields.name))
  )
}

/**
 * The type of a member by its typeflag; undefined for typeflags that are none of the filesystem's.
 *
 * Files of the time before POSIX have a NUL for a typeflag, and their directories are known by the slash at the end of the name.
 */
export function memberType(typeflag: string, path: Buffer): TarEntry['type'] | undefined {
  if (typeflag === '\0') return path.at(-1) === slash ? 'directory' : 'file'
  return types[typeflag]
}

/** The bytes that the archive holds for the member. */
export function storedSizeOf(header: Buffer, extensions: MemberExtensions): number {
  const text = paxText(extensions, 'size')
  const size = text === undefined ? numberField(header, fields.size) : paxInteger(text, 'size')
  if (size < 0) throw tarInvalid('the size is negative')
  return size
}

/** A header with the extensions that came before it. */
export interface MemberHeader {
  readonly header: Buffer
  readonly extensions: MemberExtensions
  readonly path: Buffer
}

export interface EntryOptions {
  readonly type: TarEntry['type']
  /** Bytes of content, holes included. */
  readonly size: number
  readonly limits: TarLimits
}

/**
 * The entry of a member, out of its header and its extensions.
 *
 * @throws Problem TAR_INVALID, LIMIT_EXCEEDED
 */
export function memberEntry(
  { header, extensions, path }: MemberHeader,
  { type, size, limits }: EntryOptions,
): TarEntry {
  const isLink = type === 'hardlink' || type === 'symlink'
  const isDevice = type === 'char' || type === 'block'
  const mtime = timeOf(header, extensions)
  return {
    path: checkedName(withoutSlashes(path), { what: 'name', limits }),
    type,
    mode: numberField(header, fields.mode) & 0o7777,
    uid: ownerOf(header, extensions, 'uid'),
    gid: ownerOf(header, extensions, 'gid'),
    size,
    mtimeSeconds: mtime.seconds,
    mtimeNanoseconds: mtime.nanoseconds,
    linkTarget: isLink ? checkedName(linkTargetOf(header, extensions), { what: 'link target', limits }) : noBytes,
    major: isDevice ? deviceNumber(header, fields.major, 0xfff) : 0,
    minor: isDevice ? deviceNumber(header, fields.minor, 0xfffff) : 0,
    xattrs: xattrsOfMember(extensions, limits),
  }
}

const slash = 0x2f
const noBytes = Buffer.alloc(0)
const noXattrs: TarEntry['xattrs'] = []

const types: Readonly<Record<string, TarEntry['type']>> = {
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  // A contiguous file, which no system has had for long.
  '7': 'file',
  // GNU's directory with the list of its names, of incremental backups.
  D: 'directory',
  S: 'file',
}

/** Where ustar puts the first part of a name that is longer than 100 bytes; GNU has other things at that place, v7 nothing. */
function prefixOf(header: Buffer): Buffer {
  const dialect = dialectOf(header)
  if (dialect === 'ustar') return bytesField(header, fields.prefix)
  if (dialect === 'star') return bytesField(header, fields.starPrefix)
  if (dialect === 'gnu' && isMistakenPrefix(header)) return bytesField(header, fields.prefix)
  return noBytes
}

/**
 * Go before 1.8 (golang/go#12594), and so Docker of those years, wrote a prefix into GNU headers, over the times that are there. A prefix is
 * text, which no time is.
 */
function isMistakenPrefix(header: Buffer): boolean {
  if (header[fields.prefix.at] === 0 || bytesField(header, fields.prefix).some((byte) => byte > 127)) return false
  return [fields.gnuAccessTime, fields.gnuChangeTime].some((field) => !isNumber(header, field))
}

function isNumber(header: Buffer, field: Field): boolean {
  try {
    return Number.isInteger(numberField(header, field))
  } catch {
    return false
  }
}

function joinPrefix(prefix: Buffer, name: Buffer): Buffer {
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name])
}

/** A name that is all slashes is the root, `/`. */
function withoutSlashes(path: Buffer): Buffer {
  let end = path.length
  while (end > 1 && path[end - 1] === slash) end--
  return path.subarray(0, end)
}

function checkedName(name: Buffer, { what, limits }: { what: string; limits: TarLimits }): Buffer {
  if (name.length === 0) throw tarInvalid(`it has no ${what}`)
  if (name.length > limits.maxNameBytes) throw limitExceeded(`its ${what} has more than ${limits.maxNameBytes} bytes`)
  return name
}

function linkTargetOf(header: Buffer, extensions: MemberExtensions): Buffer {
  return paxValue(extensions, 'linkpath') ?? extensions.longLink ?? bytesField(header, fields.linkName)
}

function ownerOf(header: Buffer, extensions: MemberExtensions, key: 'uid' | 'gid'): number {
  const text = paxText(extensions, key)
  const id = text === undefined ? numberField(header, fields[key]) : paxInteger(text, key)
  if (id < 0 || id > 0xffff_ffff) throw tarInvalid(`the ${key} ${id} is not one that Linux has`)
  return id
}

function timeOf(header: Buffer, extensions: MemberExtensions): PaxTime {
  const text = paxText(extensions, 'mtime')
  return text === undefined ? { seconds: numberField(header, fields.mtime), nanoseconds: 0 } : paxTime(text, 'mtime')
}

/** @param max what Linux can hold: 12 bits of major and 20 of minor */
function deviceNumber(header: Buffer, field: Field, max: number): number {
  // A v7 header has no such fields; what is at their place is not zero in every archive.
  const number = dialectOf(header) === 'v7' ? 0 : numberField(header, field)
  if (number < 0 || number > max) throw tarInvalid(`the ${field.name} ${number} is not one that Linux has`)
  return number
}

function xattrsOfMember({ pax, globals }: MemberExtensions, { maxXattrBytes }: TarLimits): TarEntry['xattrs'] {
  if (pax.length === 0 && globals.size === 0) return noXattrs
  return xattrsOf([...globals.values(), ...pax], maxXattrBytes)
}
