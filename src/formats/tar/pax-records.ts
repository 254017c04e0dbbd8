import { tarInvalid } from './tar-invalid.ts'

/** One `length key=value\n` of a PAX header. The value is bytes: binary xattrs hold NULs and newlines. */
export interface PaxRecord {
  /** A byte string (latin1): names of xattrs need not be UTF-8. */
  readonly key: string
  readonly value: Buffer
}

/**
 * The records of the body of an `x` or `g` member, in order. The values are views of `body`.
 *
 * @throws Problem TAR_INVALID
 * @see POSIX.1-2024 pax, "pax Extended Header"
 */
export function parsePaxRecords(body: Buffer): PaxRecord[] {
  const records: PaxRecord[] = []
  for (let at = 0; at < body.length; ) {
    const { length, start } = recordLength(body, at)
    const end = at + length
    if (end > body.length || body[end - 1] !== 0x0a) throw tarInvalid('a record of the PAX header has a wrong length')
    records.push(parseRecord(body.subarray(start, end - 1)))
    at = end
  }
  return records
}

function recordLength(body: Buffer, at: number): { length: number; start: number } {
  let length = 0
  let i = at
  // No header that was let in has a record with more digits than this.
  for (; i < at + 10; i++) {
    const digit = (body[i] ?? 0) - 0x30
    if (digit < 0 || digit > 9) break
    length = length * 10 + digit
  }
  if (i === at || body[i] !== 0x20 || at + length < i + 2)
    throw tarInvalid('a record of the PAX header has no proper length')
  return { length, start: i + 1 }
}

const textKeys = new Set(['path', 'linkpath', 'uname', 'gname', 'GNU.sparse.name'])

function parseRecord(record: Buffer): PaxRecord {
  const equals = record.indexOf(0x3d)
  if (equals <= 0) throw tarInvalid('a record of the PAX header has no key')
  const key = record.toString('latin1', 0, equals)
  const value = record.subarray(equals + 1)
  if (key.includes('\0')) throw tarInvalid('a key of the PAX header holds a NUL')
  // Cutting it at the NUL, as some readers do, would make two readers see two names.
  if (textKeys.has(key) && value.includes(0)) throw tarInvalid(`the PAX record ${key} holds a NUL`)
  return { key, value }
}
