import { isUtf8 } from 'node:buffer'

/** One PAX record as bytes: its own length in decimal, a space, key=value, a newline. */
export function paxRecord(key: string, value: Buffer | string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), bytes, Buffer.from('\n')])
  return Buffer.concat([Buffer.from(String(lengthWithItself(rest.length))), rest])
}

/** The length of a record counts the digits that say it. */
function lengthWithItself(rest: number): number {
  const guess = rest + String(rest).length
  return rest + String(guess).length
}

/** Readers take names of PAX for UTF-8; this record, before them, says that they are bytes. */
export function charsetRecords(names: readonly (Buffer | undefined)[]): Buffer[] {
  return names.some((name) => name !== undefined && !isUtf8(name)) ? [paxRecord('hdrcharset', 'BINARY')] : []
}

/** A time as sign and magnitude: -2 s and 500,000,000 ns is -1.5. */
export function paxTimeText({
  seconds,
  nanoseconds,
}: {
  readonly seconds: number
  readonly nanoseconds: number
}): string {
  const borrows = seconds < 0 && nanoseconds > 0
  const whole = Math.abs(borrows ? seconds + 1 : seconds)
  const fraction = borrows ? 1_000_000_000 - nanoseconds : nanoseconds
  const digits = fraction === 0 ? '' : `.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`
  return `${seconds < 0 ? '-' : ''}${whole}${digits}`
}
