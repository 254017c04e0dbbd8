import type { Problem } from '../../base/index.ts'

/** Reads what RecordWriter wrote. Byte strings are views of the buffer, not copies. Anything out of bounds is the Problem that `corrupt` makes. */
export class RecordReader {
  readonly #buffer: Buffer
  readonly #corrupt: (why: string) => Problem
  #position = 0

  constructor(buffer: Buffer, corrupt: (why: string) => Problem) {
    this.#buffer = buffer
    this.#corrupt = corrupt
  }

  /** Bytes that have not been read. */
  get left(): number {
    return Math.max(0, this.#buffer.length - this.#position)
  }

  get atEnd(): boolean {
    return this.#position >= this.#buffer.length
  }

  byte(): number {
    const value = this.#buffer[this.#position++]
    if (value === undefined) throw this.#corrupt('it ends within a record')
    return value
  }

  number(): number {
    let value = 0
    for (let factor = 1; ; factor *= 0x80) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (!Number.isSafeInteger(value) || factor > Number.MAX_SAFE_INTEGER) throw this.#corrupt('a number is too large')
      if (byte < 0x80) return value
    }
  }

  signed(): number {
    const negative = this.byte() === 1
    const magnitude = this.number()
    return negative ? -magnitude : magnitude
  }

  raw(length: number): Buffer {
    const end = this.#position + length
    if (end > this.#buffer.length) throw this.#corrupt('it ends within a record')
    const bytes = this.#buffer.subarray(this.#position, end)
    this.#position = end
    return bytes
  }

  bytes(): Buffer {
    return this.raw(this.number())
  }
}
