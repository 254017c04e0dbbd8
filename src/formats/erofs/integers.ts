const two32 = 2 ** 32

/** Writes a whole number, negative or up to 2^53, as 64 bits little-endian without making a BigInt of it. */
export function writeInt64(buffer: Buffer, value: number, offset: number): void {
  const high = Math.floor(value / two32)
  buffer.writeUInt32LE(value - high * two32, offset)
  buffer.writeInt32LE(high, offset + 4)
}

/** A signed 64-bit number; undefined when a JavaScript number cannot hold it exactly. */
export function readInt64(buffer: Buffer, offset: number): number | undefined {
  const value = buffer.readInt32LE(offset + 4) * two32 + buffer.readUInt32LE(offset)
  return Number.isSafeInteger(value) ? value : undefined
}

/** An unsigned 64-bit number; undefined when a JavaScript number cannot hold it exactly. */
export function readUInt64(buffer: Buffer, offset: number): number | undefined {
  const value = buffer.readUInt32LE(offset + 4) * two32 + buffer.readUInt32LE(offset)
  return Number.isSafeInteger(value) ? value : undefined
}

/** The smallest multiple of `unit` that is not below `value`. */
export function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit
}
