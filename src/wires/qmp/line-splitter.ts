import { Problem } from '../../base/index.ts'

/**
 * Cuts a stream of bytes into lines, holding no more than one line of `maxBytes`.
 */
export class LineSplitter {
  readonly #maxBytes: number
  #pieces: Buffer[] = []
  #held = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /**
   * @returns the lines that this chunk completes, without their line ends; empty ones are left out
   * @throws Problem LIMIT_EXCEEDED
   */
  push(chunk: Buffer): string[] {
    const lines: string[] = []
    let from = 0
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      this.#hold(chunk.subarray(from, end))
      const line = Buffer.concat(this.#pieces).toString('utf8').trim()
      if (line !== '') lines.push(line)
      this.#pieces = []
      this.#held = 0
      from = end + 1
    }
    this.#hold(chunk.subarray(from))
    return lines
  }

  #hold(piece: Buffer): void {
    this.#held += piece.length
    if (this.#held > this.#maxBytes) throw new Problem('LIMIT_EXCEEDED', `a line of more than ${this.#maxBytes} bytes`)
    if (piece.length > 0) this.#pieces.push(piece)
  }
}
