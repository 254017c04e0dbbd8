import { Problem } from '../../base/index.ts'
import { nbdCommands, nbdLimits, nbdMagic } from './protocol.ts'

export interface NbdRequest {
  readonly kind: 'request'
  readonly flags: number
  /** As nbdCommands has it, or any other number of 16 bits. */
  readonly command: number
  /** What the reply has to carry; never a number to reckon with. */
  readonly cookie: bigint
  /** Any number of 64 bits; beyond 2^53 it is rounded, and larger than any export. */
  readonly offset: number
  readonly length: number
}

export type NbdMessage =
  | { readonly kind: 'flags'; readonly flags: number }
  | { readonly kind: 'option'; readonly option: number; readonly data: Buffer }
  | NbdRequest

/**
 * Takes what a client sends apart, however it is chunked. Holds at most one option; what a write brings is thrown away as it comes, because nothing here may be
 * written to.
 */
export class NbdParser {
  #state: 'flags' | 'option' | 'option-data' | 'request' = 'flags'
  #held: Buffer = Buffer.alloc(0)
  #option = { option: 0, length: 0 }
  /** Bytes of a write that are still to come. */
  #discard = 0

  /** The handshake is over: what comes next are requests. Call it between two messages of `push`. */
  transmit(): void {
    this.#state = 'request'
  }

  /** The messages that became whole, one at a time. @throws Problem NBD_PROTOCOL */
  *push(chunk: Buffer): Generator<NbdMessage, void, undefined> {
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    try {
      for (;;) {
        rest = this.#discarded(rest)
        const needed = this.#needed()
        if (this.#discard > 0 || rest.length < needed) return
        const bytes = rest.subarray(0, needed)
        rest = rest.subarray(needed)
        const message = this.#message(bytes)
        if (message !== undefined) yield message
      }
    } finally {
      // A copy: what is left of a chunk must not keep all of it in memory.
      this.#held = Buffer.from(rest)
    }
  }

  #discarded(rest: Buffer): Buffer {
    const count = Math.min(this.#discard, rest.length)
    this.#discard -= count
    return count === 0 ? rest : rest.subarray(count)
  }

  #needed(): number {
    switch (this.#state) {
      case 'flags':
        return 4
      case 'option':
        return 16
      case 'option-data':
        return this.#option.length
      case 'request':
        return 28
    }
  }

  #message(bytes: Buffer): NbdMessage | undefined {
    switch (this.#state) {
      case 'flags':
        this.#state = 'option'
        return { kind: 'flags', flags: bytes.readUInt32BE() }
      case 'option':
        this.#option = optionHeader(bytes)
        this.#state = 'option-data'
        return undefined
      case 'option-data':
        this.#state = 'option'
        return { kind: 'option', option: this.#option.option, data: Buffer.from(bytes) }
      case 'request':
        return this.#request(bytes)
    }
  }

  #request(bytes: Buffer): NbdRequest {
    if (bytes.readUInt32BE(0) !== nbdMagic.request) throw nbdProtocol('a request does not begin as one')
    const command = bytes.readUInt16BE(6)
    const length = bytes.readUInt32BE(24)
    if (command === nbdCommands.write) this.#discard = length
    return {
      kind: 'request',
      flags: bytes.readUInt16BE(4),
      command,
      cookie: bytes.readBigUInt64BE(8),
      offset: bytes.readUInt32BE(16) * 2 ** 32 + bytes.readUInt32BE(20),
      length,
    }
  }
}

function optionHeader(bytes: Buffer): { option: number; length: number } {
  if (bytes.readBigUInt64BE(0) !== nbdMagic.option) throw nbdProtocol('an option does not begin as one')
  const length = bytes.readUInt32BE(12)
  if (length > nbdLimits.optionBytes) throw nbdProtocol(`an option of ${length} bytes`)
  return { option: bytes.readUInt32BE(8), length }
}

export function nbdProtocol(why: string): Problem {
  return new Problem('NBD_PROTOCOL', `the client does not keep to the NBD protocol: ${why}`)
}
