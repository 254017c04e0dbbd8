import { tarInvalid } from './tar-invalid.ts'

/**
 * The 512-byte block that starts a member: its fields, numbers and checksum.
 *
 * @see POSIX.1-2024 pax, "ustar Interchange Format"; tar(5) of libarchive for the older and the GNU forms
 */
export const blockSize = 512

export interface Field {
  readonly name: string
  readonly at: number
  readonly length: number
}

export const fields = {
  name: { name: 'name', at: 0, length: 100 },
  mode: { name: 'mode', at: 100, length: 8 },
  uid: { name: 'uid', at: 108, length: 8 },
  gid: { name: 'gid', at: 116, length: 8 },
  size: { name: 'size', at: 124, length: 12 },
  mtime: { name: 'mtime', at: 136, length: 12 },
  checksum: { name: 'checksum', at: 148, length: 8 },
  linkName: { name: 'link name', at: 157, length: 100 },
  major: { name: 'major device number', at: 329, length: 8 },
  minor: { name: 'minor device number', at: 337, length: 8 },
  prefix: { name: 'prefix', at: 345, length: 155 },
  /** star keeps times in the last 24 bytes of ustar's prefix. */
  starPrefix: { name: 'prefix', at: 345, length: 131 },
  gnuAccessTime: { name: 'access time', at: 345, length: 12 },
  gnuChangeTime: { name: 'change time', at: 357, length: 12 },
} as const satisfies Record<string, Field>

export type Dialect = 'v7' | 'ustar' | 'gnu' | 'star'

const magics = { ustar: Buffer.from('ustar'), gnu: Buffer.from('ustar  \0'), star: Buffer.from('tar\0') } as const

/** Who wrote this header, by its magic; v7 has none. */
export function dialectOf(block: Buffer): Dialect {
  if (!hasBytes(block, 257, magics.ustar)) return 'v7'
  if (hasBytes(block, 257, magics.gnu)) return 'gnu'
  return hasBytes(block, 508, magics.star) ? 'star' : 'ustar'
}

function hasBytes(block: Buffer, at: number, bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if (block[at + i] !== bytes[i]) return false
  return true
}

/** One character. */
export function typeflagOf(block: Buffer): string {
  return block.toString('latin1', 156, 157)
}

export function isAllZero(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false
  return true
}

/** The bytes before the first NUL: a copy, which may be kept. */
export function bytesField(block: Buffer, { at, length }: Field): Buffer {
  let end = at
  while (end < at + length && block[end] !== 0) end++
  const bytes = Buffer.allocUnsafe(end - at)
  block.copy(bytes, 0, at, end)
  return bytes
}

/**
 * A number: octal digits between spaces and NULs (nothing at all is 0), or base-256, which GNU and star use for what does not fit.
 *
 * @throws Problem TAR_INVALID for anything else, and for numbers that JavaScript cannot hold exactly
 */
export function numberField(block: Buffer, field: Field): number {
  const first = block[field.at] ?? 0
  return first & 0x80 ? base256Field(block, field) : octalField(block, field)
}

function octalField(block: Buffer, { name, at, length }: Field): number {
  let i = at
  const end = at + length
  while (i < end && isBlank(block[i])) i++
  let value = 0
  for (; i < end && !isBlank(block[i]); i++) {
    const digit = (block[i] ?? 0) - 0x30
    if (digit < 0 || digit > 7) throw tarInvalid(`the field ${name} is not a number`)
    value = value * 8 + digit
  }
  return value
}

const isBlank = (byte: number | undefined): boolean => byte === 0x20 || byte === 0

/** Big-endian two's complement; the highest bit only marks the form, the next one is the sign. */
function base256Field(block: Buffer, { name, at, length }: Field): number {
  const first = block[at] ?? 0
  const flip = first & 0x40 ? 0xff : 0
  let value = (first ^ flip) & 0x7f
  for (let i = at + 1; i < at + length; i++) {
    value = value * 256 + ((block[i] ?? 0) ^ flip)
    if (value > Number.MAX_SAFE_INTEGER) throw tarInvalid(`the field ${name} holds a number that is too large`)
  }
  return flip === 0 ? value : -value - 1
}

/** Whether the block is a header: the sum of its bytes, the checksum itself counted as spaces, is what it says. */
export function hasValidChecksum(block: Buffer): boolean {
  const stated = statedChecksum(block)
  if (stated === undefined) return false
  let unsigned = 8 * 0x20
  let highBytes = 0
  for (let i = 0; i < blockSize; i++) {
    if (i === fields.checksum.at) i += fields.checksum.length
    const byte = block[i] ?? 0
    unsigned += byte
    highBytes += byte >> 7
  }
  // Some historic writers summed signed characters.
  return stated === unsigned || stated === unsigned - 256 * highBytes
}

function statedChecksum(block: Buffer): number | undefined {
  try {
    return numberField(block, fields.checksum)
  } catch {
    return undefined
  }
}
