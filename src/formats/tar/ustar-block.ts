import { blockSize, type Field, fields } from './header-block.ts'

export interface UstarFields {
  readonly name: Buffer
  readonly prefix: Buffer
  readonly typeflag: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtimeSeconds: number
  readonly linkTarget: Buffer
  readonly major: number
  readonly minor: number
}

/** A header block, checksum included. A number that does not fit its field is written as 0, a text is cut: PAX records say what they are. */
export function ustarBlock(values: UstarFields): Buffer {
  const block = Buffer.alloc(blockSize)
  putBytes(block, fields.name, values.name)
  putNumber(block, fields.mode, values.mode)
  putNumber(block, fields.uid, values.uid)
  putNumber(block, fields.gid, values.gid)
  putNumber(block, fields.size, values.size)
  putNumber(block, fields.mtime, values.mtimeSeconds)
  block.write(values.typeflag, 156, 'latin1')
  putBytes(block, fields.linkName, values.linkTarget)
  block.write('ustar\x0000', 257, 'latin1')
  putNumber(block, fields.major, values.major)
  putNumber(block, fields.minor, values.minor)
  putBytes(block, fields.prefix, values.prefix)
  putChecksum(block)
  return block
}

/** Whether a number can be said in the octal digits of a field; the last byte is a NUL. */
export function fitsOctal(value: number, { length }: Field): boolean {
  return value >= 0 && value < 8 ** (length - 1)
}

function putNumber(block: Buffer, field: Field, value: number): void {
  const digits = fitsOctal(value, field) ? value.toString(8) : ''
  block.write(digits.padStart(field.length - 1, '0'), field.at, 'latin1')
}

function putBytes(block: Buffer, { at, length }: Field, bytes: Buffer): void {
  bytes.copy(block, at, 0, length)
}

function putChecksum(block: Buffer): void {
  const { at } = fields.checksum
  block.write('        ', at, 'latin1')
  let sum = 0
  for (const byte of block) sum += byte
  // Six digits, a NUL and the space that is there already, as every tar writes it.
  block.write(`${sum.toString(8).padStart(6, '0')}\0`, at, 'latin1')
}
