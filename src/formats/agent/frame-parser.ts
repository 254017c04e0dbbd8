import { Problem } from '../../base/index.ts'
import { agentLimits } from './protocol.ts'

export interface Frame {
  readonly type: number
  readonly channel: number
  readonly payload: Buffer
}

/**
 * Takes a byte stream apart into frames, however it is chunked. Holds at most one frame.
 *
 * A frame: u32 length of the payload, u32 channel, u8 type, three zero bytes, the payload.
 */
export class FrameParser {
  readonly #header = Buffer.alloc(agentLimits.headerBytes)
  #headerLength = 0
  /** The payload of the frame whose header is there, as far as it has come. */
  #payload: Buffer | undefined
  #payloadLength = 0

  /** @returns the frames that became whole; their payloads may be views of the chunk @throws Problem AGENT_PROTOCOL */
  push(chunk: Buffer): Frame[] {
    const frames: Frame[] = []
    let rest = this.#takeHeader(chunk)
    while (this.#headerLength === this.#header.length) {
      const length = this.#checkedLength()
      const missing = length - this.#payloadLength
      if (rest.length < missing) {
        this.#keep(rest, length)
        break
      }
      frames.push(this.#finish(rest.subarray(0, missing), length))
      rest = this.#takeHeader(rest.subarray(missing))
    }
    return frames
  }

  #takeHeader(rest: Buffer): Buffer {
    const count = rest.copy(this.#header, this.#headerLength)
    this.#headerLength += count
    return rest.subarray(count)
  }

  #checkedLength(): number {
    const length = this.#header.readUInt32LE(0)
    if (length > agentLimits.maxPayload || this.#header.readUInt32LE(8) > 0xff) {
      throw new Problem('AGENT_PROTOCOL', 'a frame from the guest has no valid header')
    }
    return length
  }

  #keep(bytes: Buffer, length: number): void {
    this.#payload ??= Buffer.allocUnsafe(length)
    this.#payloadLength += bytes.copy(this.#payload, this.#payloadLength)
  }

  #finish(last: Buffer, length: number): Frame {
    if (this.#payload !== undefined) this.#keep(last, length)
    const frame = {
      type: this.#header.readUInt8(8),
      channel: this.#header.readUInt32LE(4),
      payload: this.#payload ?? last,
    }
    this.#headerLength = 0
    this.#payload = undefined
    this.#payloadLength = 0
    return frame
  }
}

export function encodeFrame({ type, channel, payload }: Frame): Buffer {
  if (payload.length > agentLimits.maxPayload) {
    throw new Problem('INVALID_REQUEST', `a request of ${payload.length} bytes is too long for the guest's agent`, {
      hint: `keep arguments and environment below ${agentLimits.maxPayload} bytes, or copy a file into the shed`,
    })
  }
  const header = Buffer.alloc(agentLimits.headerBytes)
  header.writeUInt32LE(payload.length, 0)
  header.writeUInt32LE(channel, 4)
  header.writeUInt8(type, 8)
  return Buffer.concat([header, payload])
}
