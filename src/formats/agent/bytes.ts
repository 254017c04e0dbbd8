import { Problem } from '../../base/index.ts'

/** Reads little-endian numbers and counted strings, never past the end. @throws Problem AGENT_PROTOCOL */
export class ByteReader {
  readonly #bytes: Buffer
  readonly #what: string
  #offset = 0

  /** @param what names the bytes in problems: "EXIT" */
  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes
    this.#what = what
  }

  get left(): number {
    return this.#bytes.length - this.#offset
  }

  u8(): number {
    return this.raw(1).readUInt8()
  }

  u16(): number {
    return this.raw(2).readUInt16LE()
  }

  u32(): number {
    return this.raw(4).readUInt32LE()
  }

  u64(): bigint {
    return this.raw(8).readBigUInt64LE()
  }

  /** A u64 that must be a safe integer. */
  size(): number {
    const value = this.u64()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.wrong(`the number ${value} is too large`)
    return Number(value)
  }

  raw(length: number): Buffer {
    if (length > this.left) throw this.wrong('it is too short')
    this.#offset += length
    return this.#bytes.subarray(this.#offset - length, this.#offset)
  }

  /** A u32 length and that many bytes. */
  bytes(maximum: number): Buffer {
    const length = this.u32()
    if (length > maximum) throw this.wrong(`a string of ${length} bytes, where ${maximum} are allowed`)
    return this.raw(length)
  }

  text(maximum: number): string {
    return this.bytes(maximum).toString('utf8')
  }

  rest(): Buffer {
    return this.raw(this.left)
  }

  /** Says that nothing may be left. */
  end(): void {
    if (this.left > 0) throw this.wrong(`it has ${this.left} bytes too many`)
  }

  wrong(why: string): Problem {
    return new Problem('AGENT_PROTOCOL', `not a valid ${this.#what}: ${why}`)
  }
}

/** Builds bytes out of little-endian numbers and counted strings. */
export class ByteWriter {
  readonly #parts: Buffer[] = []

  u8(value: number): this {
    return this.raw(Buffer.of(value))
  }

  u16(value: number): this {
    const part = Buffer.alloc(2)
    part.writeUInt16LE(value)
    return this.raw(part)
  }

  u32(value: number): this {
    const part = Buffer.alloc(4)
    part.writeUInt32LE(value)
    return this.raw(part)
  }

  u64(value: bigint | number): this {
    const part = Buffer.alloc(8)
    part.writeBigUInt64LE(BigInt(value))
    return this.raw(part)
  }

  raw(bytes: Buffer): this {
    this.#parts.push(bytes)
    return this
  }

  bytes(bytes: Buffer): this {
    return this.u32(bytes.length).raw(bytes)
  }

  text(text: string): this {
    return this.bytes(Buffer.from(text))
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts)
  }
}
