import type { PaxRecord } from './pax-records.ts'
import { isXattrKey } from './xattr-records.ts'

/** What the headers before a member say about it: GNU long names, its PAX records, and the global ones that hold until they are replaced. */
export interface MemberExtensions {
  readonly longName: Buffer | undefined
  readonly longLink: Buffer | undefined
  readonly pax: readonly PaxRecord[]
  readonly globals: ReadonlyMap<string, PaxRecord>
}

/**
 * The value of a PAX record: the member's own, or else the global one. An empty own value takes the global one back, so that the header's
 * field counts again.
 */
export function paxValue({ pax, globals }: MemberExtensions, key: string): Buffer | undefined {
  if (pax.length === 0 && globals.size === 0) return undefined
  const value = (pax.findLast((record) => record.key === key) ?? globals.get(key))?.value
  return value === undefined || value.length === 0 ? undefined : value
}

export function paxText(extensions: MemberExtensions, key: string): string | undefined {
  return paxValue(extensions, key)?.toString('latin1')
}

/** Keys that are read, besides those of xattrs and, in a member's own header, of sparse files. */
const readKeys = new Set(['path', 'linkpath', 'size', 'uid', 'gid', 'mtime'])

export function isReadFromGlobals(key: string): boolean {
  return readKeys.has(key) || isXattrKey(key)
}

/**
 * Keys that say nothing about the member that an image could keep: names of owners, the other times, where the file was when it was
 * archived.
 */
const uninterestingKeys = new Set(
  ['uname', 'gname', 'atime', 'ctime', 'comment', 'LIBARCHIVE.creationtime'].concat([
    'SCHILY.dev',
    'SCHILY.ino',
    'SCHILY.nlink',
    'SCHILY.filetype',
    'SCHILY.devmajor',
    'SCHILY.devminor',
  ]),
)
const knownCharsets = new Set(['', 'BINARY', 'ISO-IR 10646 2000 UTF-8', 'ISO-IR 646 1990'])

/** Why a person may want to know that this record was passed over; undefined when it is one that is read, or of no interest. */
export function complaintAbout({ key, value }: PaxRecord): string | undefined {
  if (readKeys.has(key) || uninterestingKeys.has(key) || isXattrKey(key) || /^GNU\.(sparse|volume)\./.test(key))
    return undefined
  // Names are bytes whatever the charset says, and in all charsets that anyone writes that is right.
  if (key !== 'hdrcharset' && key !== 'charset') return `the PAX record ${key} is not kept`
  return knownCharsets.has(value.toString('latin1'))
    ? undefined
    : 'names in a charset of their own are kept as they are'
}
