import type { Socket } from 'node:net'
import { blockBytes, type ReplyBlock, type ReplyBlocks } from './reply-blocks.ts'
import type { Wakefulness } from './wakefulness.ts'

/** What is written at once. */
export interface Written {
  readonly replies: number
  readonly bytes: number
}

/** By all connections of a server. */
export interface SharedByReplies {
  readonly blocks: ReplyBlocks
  readonly wakefulness: Wakefulness
}

export interface OpenReplyBatch extends SharedByReplies {
  readonly socket: Socket
  /** The client has taken it; not called any more when the connection is over. */
  readonly onTaken: (written: Written) => void
}

/**
 * Replies that are ready at once, put together where they are sent from: many of them are one write, and none needs memory of its own. What comes is put behind the last one, or into another block;
 * a block goes back when all that was in it has been taken.
 */
export class ReplyBatch {
  readonly #socket: Socket
  readonly #blocks: ReplyBlocks
  readonly #wakefulness: Wakefulness
  readonly #onTaken: OpenReplyBatch['onTaken']
  #block: ReplyBlock | undefined
  /** Where the next reply begins, and where the first that was not sent does. */
  #end = 0
  #sent = 0
  #replies = 0
  #bytes = 0

  constructor({ socket, blocks, wakefulness, onTaken }: OpenReplyBatch) {
    this.#socket = socket
    this.#blocks = blocks
    this.#wakefulness = wakefulness
    this.#onTaken = onTaken
  }

  /** Whether a block has room for a reply of so many bytes. */
  takes(length: number): boolean {
    return length <= blockBytes
  }

  /** Room for a reply, which goes out with the next `send` if it was added. */
  room(length: number): Buffer {
    const { bytes } = this.#blockFor(length)
    return bytes.subarray(this.#end, this.#end + length)
  }

  /** What `room` gave was filled. @param bytes that count as in flight */
  add(length: number, bytes: number): void {
    this.#end += length
    this.#replies++
    this.#bytes += bytes
  }

  send(): void {
    const block = this.#block
    if (block === undefined || this.#sent === this.#end) return
    const written = { replies: this.#replies, bytes: this.#bytes }
    const bytes = block.bytes.subarray(this.#sent, this.#end)
    this.#sent = this.#end
    this.#replies = 0
    this.#bytes = 0
    block.pending++
    this.#socket.write(bytes, (error) => {
      // The connection is over. Node may say so twice of one write, and a block must not go back twice.
      if (error) return
      block.pending--
      this.#giveBack(block)
      this.#onTaken(written)
    })
    this.#wakefulness.answered(this.#socket.writableLength)
  }

  #blockFor(length: number): ReplyBlock {
    if (this.#block !== undefined && this.#end + length <= blockBytes) return this.#block
    this.send()
    this.#block = this.#blocks.take()
    this.#end = 0
    this.#sent = 0
    return this.#block
  }

  #giveBack(block: ReplyBlock): void {
    if (block.pending > 0 || (block === this.#block && this.#sent < this.#end)) return
    if (block === this.#block) this.#block = undefined
    this.#blocks.give(block)
  }
}
