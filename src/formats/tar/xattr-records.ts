import type { PaxRecord } from './pax-records.ts'
import { limitExceeded, tarInvalid } from './tar-invalid.ts'

const schily = 'SCHILY.xattr.'
const libarchive = 'LIBARCHIVE.xattr.'

export function isXattrKey(key: string): boolean {
  return key.startsWith(schily) || key.startsWith(libarchive)
}

/**
 * The xattrs among the records, each name once: bsdtar writes every xattr in both forms. The last value of a name counts. An empty value is
 * an xattr that is empty, as GNU tar has it, although PAX otherwise takes an empty value as none.
 *
 * @throws Problem TAR_INVALID, LIMIT_EXCEEDED
 */
export function xattrsOf(records: Iterable<PaxRecord>, maxBytes: number): { name: string; value: Buffer }[] {
  const values = new Map<string, Buffer>()
  let bytes = 0
  for (const { key, value } of records) {
    if (!isXattrKey(key)) continue
    const name = key.startsWith(schily)
      ? schilyName(key.slice(schily.length))
      : percentDecoded(key.slice(libarchive.length))
    if (name === '' || name.includes('\0')) throw tarInvalid('an xattr has no proper name')
    values.set(name, key.startsWith(schily) ? value : base64Decoded(value, name))
    bytes += name.length + value.length
    if (bytes > maxBytes) throw limitExceeded(`the xattrs have more than ${maxBytes} bytes`)
  }
  return Array.from(values, ([name, value]) => ({ name, value }))
}

/** GNU tar writes `=` as %3D, since a key ends at the first one, and so `%` as %25; no other escape is one. */
function schilyName(name: string): string {
  return name.includes('%') ? name.replace(/%3D|%25/g, (code) => (code === '%25' ? '%' : '=')) : name
}

/** The name of an xattr as a PAX key that `schilyName` reads back. */
export function schilyKey(name: string): string {
  return schily + name.replace(/[%=]/g, (character) => (character === '%' ? '%25' : '%3D'))
}

function percentDecoded(name: string): string {
  return name.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function base64Decoded(value: Buffer, name: string): Buffer {
  const text = value.toString('latin1')
  // libarchive leaves the = at the end out.
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw tarInvalid(`the xattr ${name} is not base64`)
  return Buffer.from(text, 'base64')
}
