import type { Socket } from 'node:net'

/** Of a reply: 64 KiB and what stands before them. Larger ones are not copied together. */
const mostBytes = 64 * 1024 + 64
const blockBytes = 4 * mostBytes

/** What is written at once. */
export interface Written {
  readonly replies: number
  readonly bytes: number
}

/**
 * Replies that are ready at once, put together where they are sent from: many of them are one write, and none needs memory of its own. A block is used again from its beginning when all that
 * was in it has been taken; until then what comes is put behind it, or into a new one.
 */
export class ReplyBatch {
  readonly #socket: Socket
  readonly #onTaken: (written: Written) => void
  #block = Buffer.alloc(0)
  /** Where the next reply begins, and where the first that was not sent does. */
  #end = 0
  #sent = 0
  #replies = 0
  #bytes = 0
  /** Writes of this block that were not taken yet. */
  #pending = { count: 0 }

  constructor(socket: Socket, onTaken: (written: Written) => void) {
    this.#socket = socket
    this.#onTaken = onTaken
  }

  /** Whether a reply of so many bytes is worth copying. */
  takes(length: number): boolean {
    return length <= mostBytes
  }

  /** Room for a reply, which goes out with the next `send` if it was added. */
  room(length: number): Buffer {
    if (this.#pending.count === 0 && this.#sent === this.#end) this.#rewind()
    if (this.#end + length > this.#block.length) {
      this.send()
      this.#block = Buffer.allocUnsafeSlow(blockBytes)
      this.#pending = { count: 0 }
      this.#rewind()
    }
    return this.#block.subarray(this.#end, this.#end + length)
  }

  /** What `room` gave was filled. @param bytes that count as in flight */
  add(length: number, bytes: number): void {
    this.#end += length
    this.#replies++
    this.#bytes += bytes
  }

  send(): void {
    if (this.#sent === this.#end) return
    const written = { replies: this.#replies, bytes: this.#bytes }
    const pending = this.#pending
    pending.count++
    const bytes = this.#block.subarray(this.#sent, this.#end)
    this.#sent = this.#end
    this.#replies = 0
    this.#bytes = 0
    this.#socket.write(bytes, () => {
      pending.count--
      this.#onTaken(written)
    })
  }

  #rewind(): void {
    this.#end = 0
    this.#sent = 0
  }
}
