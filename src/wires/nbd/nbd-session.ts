import type { Socket } from 'node:net'
import { isProblem } from '../../base/index.ts'
import {
  encodeBlockStatus,
  encodeDataHeader,
  encodeGreeting,
  encodeNoneChunk,
  encodeSimpleReply,
  encodeStructuredError,
  type NbdMessage,
  NbdParser,
  type NbdRequest,
  nbdClientFlags,
  nbdCommandFlags,
  nbdCommands,
  nbdErrors,
  nbdExtentFlags,
  nbdHeaderBytes,
  nbdLimits,
  writeDataHeader,
  writeSimpleReply,
} from '../../formats/index.ts'
import type { BlockSource } from './block-source.ts'
import { type Agreement, allocationContext, Handshake } from './handshake.ts'
import { ReplyBatch, type SharedByReplies, type Written } from './reply-batch.ts'

export interface OpenSession extends SharedByReplies {
  readonly socket: Socket
  readonly source: BlockSource
  /** Counted on by every session. */
  readonly counters: { reads: number; readBytes: number; errors: number }
}

/** What one client may have asked for without having taken it: more waits in its socket. */
const inFlight = { requests: 256, bytes: 64 << 20 }
/** What may wait in memory for the client to take it, in bytes, before nothing more is answered: as much as keeps both busy. */
const maxReady = 2 << 20
/** A client that does not come to an end with its handshake takes a place from others. */
const handshakeMs = 30_000

/** One client: its handshake, then its requests, each answered when it can be, in whatever order. */
export class NbdSession {
  readonly #socket: Socket
  readonly #source: BlockSource
  readonly #counters: OpenSession['counters']
  readonly #parser = new NbdParser()
  readonly #handshake: Handshake
  readonly #batch: ReplyBatch
  #agreement: Agreement | undefined
  #options = 0
  #requests = 0
  #bytes = 0
  /** What has come and was not looked at yet. */
  #messages: Generator<NbdMessage, void, undefined> | undefined

  constructor({ socket, source, counters, blocks, wakefulness }: OpenSession) {
    this.#socket = socket
    this.#source = source
    this.#counters = counters
    this.#handshake = new Handshake(source.bytes)
    const onTaken = ({ replies, bytes }: Written) => this.#end(bytes, replies)
    this.#batch = new ReplyBatch({ socket, blocks, wakefulness, onTaken })
    socket.setTimeout(handshakeMs, () => this.end())
    // Whatever it is, the connection is closed after it.
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      this.#messages = this.#parser.push(chunk)
      this.#pump()
    })
    socket.write(encodeGreeting())
  }

  end(): void {
    this.#socket.destroy()
  }

  /** Looks at what has come until too much is in flight; replies that are ready at once go out together. */
  #pump(): void {
    try {
      while (this.#messages !== undefined && !this.#isFull && !this.#socket.destroyed) {
        const { value, done } = this.#messages.next()
        if (done === true) this.#messages = undefined
        else this.#take(value)
      }
    } catch (error) {
      if (!isProblem(error, 'NBD_PROTOCOL')) throw error
      this.end()
    } finally {
      this.#batch.send()
    }
    if (this.#messages === undefined) this.#socket.resume()
    else this.#socket.pause()
  }

  get #isFull(): boolean {
    const { requests, bytes } = inFlight
    return this.#requests >= requests || this.#bytes >= bytes || this.#socket.writableLength >= maxReady
  }

  #take(message: NbdMessage): void {
    if (message.kind === 'request') this.#takeRequest(message)
    else if (message.kind === 'option') this.#takeOption(message.option, message.data)
    else this.#takeFlags(message.flags)
  }

  #takeFlags(flags: number): void {
    const known = nbdClientFlags.fixedNewstyle | nbdClientFlags.noZeroes
    if ((flags & ~known) !== 0) this.end()
    this.#handshake.noZeroes = (flags & nbdClientFlags.noZeroes) !== 0
  }

  #takeOption(option: number, data: Buffer): void {
    const { bytes, next } = this.#handshake.answer(option, data)
    this.#options++
    if (next === 'end' || this.#options >= nbdLimits.options) this.#socket.end(bytes, () => this.end())
    else this.#socket.write(bytes)
    if (next !== 'requests') return
    this.#socket.setTimeout(0)
    this.#agreement = this.#handshake.agreement
    this.#parser.transmit()
  }

  #takeRequest(request: NbdRequest): void {
    switch (request.command) {
      case nbdCommands.read:
        this.#read(request)
        break
      case nbdCommands.disconnect:
        this.#batch.send()
        this.#socket.end(() => this.end())
        break
      case nbdCommands.cache:
        this.#cache(request)
        break
      case nbdCommands.blockStatus:
        this.#blockStatus(request)
        break
      case nbdCommands.write:
      case nbdCommands.trim:
      case nbdCommands.writeZeroes:
        this.#refuse(request, nbdErrors.permission, 'the export is read-only')
        break
      default:
        this.#refuse(request, nbdErrors.invalid, 'the export knows no such command')
    }
  }

  #read(request: NbdRequest): void {
    const { offset, length } = request
    if (!this.#isWithin(request) || length > nbdLimits.readBytes) {
      this.#refuse(request, nbdErrors.invalid, 'the range is not within the export, or too long')
      return
    }
    this.#begin(length)
    try {
      if (this.#readAtOnce(request)) return
      const bytes = this.#source.read(offset, length)
      if (!(bytes instanceof Promise)) this.#data(request, bytes)
      else {
        bytes.then(
          (read) => this.#data(request, read),
          (error: unknown) => {
            this.#failed(request, error)
            this.#batch.send()
          },
        )
      }
    } catch (error) {
      this.#failed(request, error)
    }
  }

  /** What is here goes out with the other replies that are ready. */
  #readAtOnce({ cookie, offset, length }: NbdRequest): boolean {
    const structured = this.#agreement?.structured === true
    const before = structured ? nbdHeaderBytes.data : nbdHeaderBytes.simple
    if (this.#source.readAtOnce === undefined || !this.#batch.takes(before + length)) return false
    const reply = this.#batch.room(before + length)
    if (!this.#source.readAtOnce(offset, reply.subarray(before))) return false
    if (structured) writeDataHeader(reply, { cookie, offset, length })
    else writeSimpleReply(reply, cookie, 0)
    this.#counters.reads++
    this.#counters.readBytes += length
    this.#batch.add(before + length, length)
    return true
  }

  #failed(request: NbdRequest, error: unknown): void {
    this.#refuse(request, nbdErrors.io, error instanceof Error ? error.message : String(error))
    this.#end(request.length)
  }

  #data({ cookie, offset, length }: NbdRequest, bytes: Buffer): void {
    this.#counters.reads++
    this.#counters.readBytes += length
    const header =
      this.#agreement?.structured === true ? encodeDataHeader(cookie, offset, length) : encodeSimpleReply(cookie, 0)
    this.#socket.cork()
    this.#socket.write(header)
    // Until the client has taken it, it is in flight, and in memory.
    this.#socket.write(bytes, (error) => error ?? this.#end(length))
    this.#socket.uncork()
  }

  #cache(request: NbdRequest): void {
    if (!this.#isWithin(request)) {
      this.#refuse(request, nbdErrors.invalid, 'the range is not within the export')
      return
    }
    this.#source.hint(request.offset, request.length)
    const { cookie } = request
    this.#answer(this.#agreement?.structured === true ? encodeNoneChunk(cookie) : encodeSimpleReply(cookie, 0))
  }

  #blockStatus(request: NbdRequest): void {
    if (this.#agreement?.allocation !== true || !this.#isWithin(request)) {
      this.#refuse(request, nbdErrors.invalid, 'the range is not within the export, or nothing was agreed on')
      return
    }
    const { cookie, flags } = request
    const most = (flags & nbdCommandFlags.reqOne) === 0 ? nbdLimits.extents : 1
    this.#answer(encodeBlockStatus({ cookie, context: allocationContext, extents: this.#extents(request, most) }))
  }

  #extents({ offset, length }: NbdRequest, most: number): { length: number; flags: number }[] {
    const found: { length: number; flags: number }[] = []
    for (let at = offset, end = offset + length; at < end && found.length < most; ) {
      const run = this.#source.runAt(at, end - at)
      found.push({ length: run.length, flags: run.isZero ? nbdExtentFlags.hole | nbdExtentFlags.zero : 0 })
      at += run.length
    }
    return found
  }

  #isWithin({ offset, length }: NbdRequest): boolean {
    return length > 0 && offset + length <= this.#source.bytes
  }

  #refuse({ cookie }: NbdRequest, error: number, why: string): void {
    this.#counters.errors++
    const structured = this.#agreement?.structured === true
    this.#answer(structured ? encodeStructuredError(cookie, error, why) : encodeSimpleReply(cookie, error))
  }

  /** Counted as well: a client that asks and does not listen must not fill our memory with answers. */
  #answer(bytes: Buffer): void {
    this.#begin(bytes.length)
    bytes.copy(this.#batch.room(bytes.length))
    this.#batch.add(bytes.length, bytes.length)
  }

  #begin(bytes: number): void {
    this.#requests++
    this.#bytes += bytes
  }

  #end(bytes: number, requests = 1): void {
    this.#requests -= requests
    this.#bytes -= bytes
    if (this.#messages !== undefined && !this.#isFull) this.#pump()
  }
}
