import { Problem } from '../../base/index.ts'

/** Reads what RecordWriter wrote. Byte strings are views of the buffer, not copies. Anything out of bounds is a Problem. */
export class RecordReader {
  readonly #buffer: Buffer
  #position: number

  constructor(buffer: Buffer, position = 0) {
    this.#buffer = buffer
    this.#position = position
  }

  get atEnd(): boolean {
    return this.#position >= this.#buffer.length
  }

  byte(): number {
    const value = this.#buffer[this.#position++]
    if (value === undefined) throw corruptIndex('it ends within a record')
    return value
  }

  number(): number {
    let value = 0
    for (let factor = 1; ; factor *= 0x80) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (!Number.isSafeInteger(value) || factor > Number.MAX_SAFE_INTEGER) throw corruptIndex('a number is too large')
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
    if (end > this.#buffer.length) throw corruptIndex('it ends within a record')
    const bytes = this.#buffer.subarray(this.#position, end)
    this.#position = end
    return bytes
  }

  bytes(): Buffer {
    return this.raw(this.number())
  }
}

/** An index that is not as it was written: its cache entry is to be rebuilt from the layer. */
export function corruptIndex(why: string): Problem {
  return new Problem('LAYER_INVALID', `a cached layer index is corrupt: ${why}`)
}
