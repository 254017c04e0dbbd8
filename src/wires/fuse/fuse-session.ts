import { readSync, writeSync, writevSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { errnoCode } from '../../base/index.ts'
import {
  decodeFuseRequest,
  encodeFuseAttributes,
  encodeFuseError,
  encodeFuseHeader,
  encodeFuseInit,
  encodeFuseOpen,
  encodeFuseSeek,
  encodeFuseStatfs,
  type FuseAttributes,
  type FuseRequest,
  fuseErrors,
  fuseFeatures,
  fuseLimits,
  fuseOpenFlags,
  fuseWhence,
} from '../../formats/index.ts'
import { type FuseMount, isReadable, untilReadable } from '../../host/index.ts'
import type { BlockSource } from '../nbd/index.ts'

export interface OpenFuseSession {
  readonly mount: FuseMount
  readonly source: BlockSource
  readonly attributes: FuseAttributes
}

/** What the answer has in it; the number of an error; undefined when there is none, or not yet. */
type Reply = Buffer | number | undefined
type Asked<K extends FuseRequest['kind']> = Extract<FuseRequest, { kind: K }>

/** What may be asked for and not answered yet: more waits in the kernel. */
const inFlight = { requests: 256, bytes: 64 << 20 }
/** How much is answered in one turn of the event loop, in requests and bytes: what comes from the registry has its turns too. */
const aTurn = { requests: 32, bytes: 4 << 20 }
/** Requests that nobody waits for, at a time. */
const maxBackground = 64
const pageBytes = 4096
/** A process that ends otherwise than by `over` may have to wait for so long, in milliseconds. */
const lookMs = 1_000
/** As open(2) has it. */
const accessMode = 3

/** One mount: the kernel's requests, each answered when it can be, in whatever order. */
export class FuseSession {
  readonly counters = { reads: 0, readBytes: 0, errors: 0 }
  readonly #mount: FuseMount
  readonly #source: BlockSource
  readonly #attributes: FuseAttributes
  readonly #buffer = Buffer.alloc(fuseLimits.requestBytes)
  /** Of what is answered at once, until the kernel has taken it, which is before anything else is asked: the same pages for each need not be cleared. */
  readonly #place = Buffer.allocUnsafeSlow(fuseLimits.readBytes)
  /** Reads that are waited for: their lengths. */
  readonly #waiting = new Map<bigint, number>()
  /** By handle: whether the kernel reads the file itself. */
  readonly #opened = new Map<number, { readonly isPassed: boolean }>()
  #waitingBytes = 0
  #handles = 0
  #features = 0n
  /** What the kernel knows the whole file as. */
  #backing: number | undefined
  #isOver = false
  #whenRoomy = () => {}

  constructor({ mount, source, attributes }: OpenFuseSession) {
    this.#mount = mount
    this.#source = source
    this.#attributes = attributes
  }

  /** Those who have it open. */
  get clients(): number {
    return this.#opened.size
  }

  /** All that ever had. */
  get connections(): number {
    return this.#handles
  }

  /** Answers until nothing is mounted any more. */
  async run(): Promise<void> {
    while (!this.#isOver) {
      if (this.#isFull) await this.#roomy()
      else if (isReadable(this.#mount.fd) || (await untilReadable(this.#mount.fd, lookMs))) {
        this.#answerSome()
        await turn()
      }
    }
  }

  get #isFull(): boolean {
    return this.#waiting.size >= inFlight.requests || this.#waitingBytes >= inFlight.bytes
  }

  async #roomy(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#whenRoomy = resolve
    })
  }

  #answerSome(): void {
    const { counters } = this
    const until = counters.readBytes + aTurn.bytes
    for (let count = 0; count < aTurn.requests && counters.readBytes < until && !this.#isFull; count++) {
      const request = this.#next()
      if (request !== undefined) this.#take(request)
      if (this.#isOver || !isReadable(this.#mount.fd)) return
    }
  }

  /** @returns undefined when what was asked is not wanted any more, or nothing is mounted */
  #next(): FuseRequest | undefined {
    try {
      const length = readSync(this.#mount.fd, this.#buffer)
      return decodeFuseRequest(this.#buffer.subarray(0, length))
    } catch (error) {
      // ENOENT: whoever asked has given up. Whatever else it is, nothing can be read any more.
      if (!['EAGAIN', 'EINTR', 'ENOENT'].includes(errnoCode(error) ?? '')) this.#end()
      return undefined
    }
  }

  #end(): void {
    this.#isOver = true
    this.#waiting.clear()
    this.#whenRoomy()
  }

  #take(request: FuseRequest): void {
    const reply = this.#replyTo(request)
    if (reply !== undefined) this.#answer(request.unique, reply)
  }

  #replyTo(request: FuseRequest): Reply {
    switch (request.kind) {
      case 'read':
        return this.#read(request)
      case 'init':
        return this.#init(request)
      case 'getAttributes':
        return encodeFuseAttributes(this.#attributes)
      case 'statfs':
        return encodeFuseStatfs(this.#source.bytes)
      case 'open':
        return this.#open(request)
      case 'release':
        this.#opened.delete(request.handle)
        return nothing
      case 'seek':
        return this.#seek(request)
      case 'interrupt':
        return this.#interrupt(request)
      case 'access':
      case 'destroy':
        return nothing
      case 'forget':
        return undefined
      case 'write':
        return fuseErrors.readOnly
      case 'unknown':
        // The kernel remembers that, and does not ask again.
        return fuseErrors.notImplemented
    }
  }

  #init(request: Asked<'init'>): Buffer {
    // Not asyncDirect: who reads past the page cache could not be ended while he waits.
    const { asyncRead, maxPages, extended, passthrough } = fuseFeatures
    this.#features = request.features & (asyncRead | maxPages | extended | passthrough)
    return encodeFuseInit({
      ...{ maxBackground, features: this.#features, maxReadahead: request.maxReadahead },
      maxPages: fuseLimits.readBytes / pageBytes,
      maxStackDepth: this.#canPass ? 1 : 0,
    })
  }

  get #canPass(): boolean {
    return (this.#features & fuseFeatures.passthrough) !== 0n
  }

  #open({ flags }: Asked<'open'>): Reply {
    if ((flags & accessMode) !== 0) return fuseErrors.readOnly
    const handle = ++this.#handles
    const backing = this.#backingForOpen()
    this.#opened.set(handle, { isPassed: backing !== undefined })
    const { keepCache, noFlush, passthrough } = fuseOpenFlags
    return encodeFuseOpen(handle, noFlush | (backing === undefined ? keepCache : passthrough), backing)
  }

  /** The kernel takes no file to be passed through that somebody reads in the other way, nor the other way about. */
  #backingForOpen(): number | undefined {
    const [first] = this.#opened.values()
    if (first !== undefined) return first.isPassed ? this.#backing : undefined
    const file = this.#canPass ? this.#source.file?.() : undefined
    if (file !== undefined) this.#backing ??= this.#mount.pass(file)
    return this.#backing
  }

  #read({ unique, offset, length: asked }: Asked<'read'>): Reply {
    const length = Math.min(asked, this.#source.bytes - offset)
    if (length <= 0) return nothing
    try {
      const bytes = this.#readAtOnce(offset, length) ?? this.#source.read(offset, length)
      if (!(bytes instanceof Promise)) return this.#counted(bytes)
      this.#waiting.set(unique, length)
      this.#waitingBytes += length
      bytes.then(
        (read) => this.#isDone(unique) && this.#answer(unique, this.#counted(read)),
        () => this.#isDone(unique) && this.#answer(unique, this.#failed()),
      )
      return undefined
    } catch {
      return this.#failed()
    }
  }

  #readAtOnce(offset: number, length: number): Buffer | undefined {
    const bytes = this.#place.subarray(0, length)
    return bytes.length === length && this.#source.readAtOnce?.(offset, bytes) === true ? bytes : undefined
  }

  #counted(bytes: Buffer): Buffer {
    this.counters.reads++
    this.counters.readBytes += bytes.length
    return bytes
  }

  #failed(): number {
    this.counters.errors++
    return fuseErrors.io
  }

  /** @returns whether it is still waited for */
  #isDone(unique: bigint): boolean {
    const length = this.#waiting.get(unique)
    if (length === undefined) return false
    this.#waiting.delete(unique)
    this.#waitingBytes -= length
    if (!this.#isFull) this.#whenRoomy()
    return true
  }

  /** Whoever waits has been told to end: it need not wait for a registry that is silent. */
  #interrupt({ of }: Asked<'interrupt'>): undefined {
    if (this.#isDone(of)) this.#answer(of, fuseErrors.interrupted)
  }

  /** Zeros that nobody has to fetch are holes; so is what comes behind the end. @see lseek(2) */
  #seek({ offset, whence }: Asked<'seek'>): Reply {
    const { bytes } = this.#source
    if (whence !== fuseWhence.data && whence !== fuseWhence.hole) return fuseErrors.invalid
    if (offset >= bytes) return fuseErrors.noDeviceAddress
    for (let at = offset; at < bytes; ) {
      const run = this.#source.runAt(at, bytes - at)
      if (run.isZero === (whence === fuseWhence.hole)) return encodeFuseSeek(at)
      at += run.length
    }
    return whence === fuseWhence.hole ? encodeFuseSeek(bytes) : fuseErrors.noDeviceAddress
  }

  /** One write. Whoever asked may have given up, and then there is nobody to tell. */
  #answer(unique: bigint, reply: Buffer | number): void {
    if (this.#isOver) return
    try {
      if (typeof reply === 'number') writeSync(this.#mount.fd, encodeFuseError(unique, reply))
      else writevSync(this.#mount.fd, [encodeFuseHeader(unique, reply.length), reply])
    } catch (error) {
      if (errnoCode(error) === undefined) throw error
    }
  }
}

const nothing = Buffer.alloc(0)
