import { readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { problemFromSystem } from '../../base/index.ts'
import { leafBytes } from '../../formats/index.ts'
import { dataSegments, writeWhole } from '../../host/index.ts'
import type { LazyCounters } from '../counters.ts'
import type { LeafTruth } from './leaf-hashes.ts'
import { LeafPresence } from './leaf-presence.ts'

export interface OpenLeafCache {
  /** A sparse file, made when it is absent. */
  readonly path: string
  /** It is a lower that was whole once, and nothing is written to it. */
  readonly isFinal?: boolean | undefined
  readonly hashes: LeafTruth
  readonly counters: LazyCounters
}

/**
 * The leaves of a lower that are here, each at its place in a sparse file.
 *
 * Nothing beside the file says which they are: a leaf is here when its bytes are what its hash says, and that is looked at once in every process, before it is given
 * to anybody. So no order of writes, no crash and no damage can make a wrong byte of it, and several processes may share the file: they all write the same.
 */
export class LeafCache implements AsyncDisposable {
  readonly hashes: LeafTruth
  /** What is damaged there stays damaged. */
  readonly isFinal: boolean
  /** Resolved when this process has seen every leaf to be right. */
  readonly whole: Promise<void>
  /** To be looked at. */
  readonly presence: LeafPresence
  readonly #path: string
  readonly #file: FileHandle
  readonly #counters: LazyCounters
  #becomeWhole = () => {}
  /** What this process knows of each leaf. */
  readonly #known: Uint8Array
  /** Half written, perhaps. */
  readonly #writing = new Set<number>()
  #missing: number

  /** @throws Problem NO_SPACE, PERMISSION_DENIED, IO_FAILED */
  static async open(options: OpenLeafCache): Promise<LeafCache> {
    const { path, hashes, isFinal } = options
    try {
      return new LeafCache(options, isFinal === true ? await open(path, 'r') : await openSparse(path, hashes.bytes))
    } catch (error) {
      throw problemFromSystem(error, `open ${path}`)
    }
  }

  private constructor({ path, hashes, counters, isFinal }: OpenLeafCache, file: FileHandle) {
    this.hashes = hashes
    this.isFinal = isFinal === true
    this.whole = new Promise((resolve) => {
      this.#becomeWhole = resolve
    })
    this.#path = path
    this.#file = file
    this.#counters = counters
    this.presence = LeafPresence.of(hashes, file.fd)
    this.#known = new Uint8Array(hashes.count)
    this.#missing = hashes.count
  }

  /** Leaves that this process has not seen to be right. */
  get missing(): number {
    return this.#missing
  }

  /** Of the file, for who reads there what `has` is true of. */
  get fd(): number {
    return this.#file.fd
  }

  /** Whether this process knows a leaf to be right, without looking. */
  isVerified(leaf: number): boolean {
    return this.#known[leaf] === verified
  }

  /** Whether a leaf is here and right. */
  has(leaf: number): boolean {
    if (this.isVerified(leaf)) return true
    if (this.#known[leaf] === damaged || this.#writing.has(leaf) || !this.#isRight(leaf)) return false
    this.#markVerified(leaf)
    return true
  }

  /** Looks again at leaves before `end` that were not here, or damaged, and that another process may have brought since; then `isVerified` tells. */
  lookAgain(first: number, end: number): void {
    for (let leaf = first; leaf < end; leaf++) {
      if (!this.isVerified(leaf) && !this.#writing.has(leaf) && this.#isRight(leaf)) this.#markVerified(leaf)
    }
  }

  /**
   * Takes in a leaf whose bytes are right. When it cannot be kept that is counted, and no harm.
   *
   * @param bytes that `hashes.accepts` was true of
   */
  async keep(leaf: number, bytes: Buffer): Promise<void> {
    if (this.isVerified(leaf)) return
    this.#writing.add(leaf)
    try {
      await writeWhole(this.#file, bytes, leaf * leafBytes)
      this.#markVerified(leaf)
    } catch {
      this.#counters.unsavedLeaves++
    } finally {
      this.#writing.delete(leaf)
    }
  }

  /**
   * Bytes of leaves that are verified, from the page cache or the disk, at once.
   *
   * @throws Problem IO_FAILED when the file does not have them any more: somebody has cut it
   */
  read(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    this.readInto(bytes, offset)
    return bytes
  }

  readInto(bytes: Buffer, offset: number): void {
    try {
      const count = readSync(this.#file.fd, bytes, 0, bytes.length, offset)
      if (count !== bytes.length) throw new Error(`it ends after ${offset + count} bytes`)
    } catch (error) {
      throw problemFromSystem(error, `read ${this.#path}`)
    }
  }

  /** Makes what is here durable. @throws Problem NO_SPACE, IO_FAILED */
  async sync(): Promise<void> {
    try {
      await this.#file.datasync()
    } catch (error) {
      throw problemFromSystem(error, `sync ${this.#path}`)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }

  /** What is damaged stays as it is until its leaf is fetched: another process may be just writing it, and must not find it changed behind its back. */
  #isRight(leaf: number): boolean {
    if (!this.hashes.isZeros(leaf) && this.#isHole(leaf)) return this.#isAbsent(leaf)
    const bytes = Buffer.allocUnsafe(this.hashes.lengthOf(leaf))
    try {
      this.readInto(bytes, leaf * leafBytes)
      if (isZeros(bytes)) return this.hashes.isZeros(leaf) || this.#isAbsent(leaf)
      if (this.hashes.isRight(leaf, bytes)) return true
    } catch {
      // A disk that cannot be read has not got it; whoever wants it fetches it.
    }
    if (this.#known[leaf] !== damaged) this.#counters.damagedLeaves++
    this.#known[leaf] = damaged
    return this.#isAbsent(leaf)
  }

  /** Whether the file has none of it: all that is fetched is asked for this first, and to read the zeros that are there takes twenty times as long. */
  #isHole(leaf: number): boolean {
    const start = leaf * leafBytes
    try {
      return dataSegments(this.#file.fd, start, start + this.hashes.lengthOf(leaf)).next().done === true
    } catch {
      return false
    }
  }

  #isAbsent(leaf: number): false {
    this.presence.remove(leaf)
    return false
  }

  #markVerified(leaf: number): void {
    if (this.isVerified(leaf)) return
    this.#known[leaf] = verified
    this.presence.add(leaf)
    this.#missing--
    if (this.#missing === 0) this.#becomeWhole()
  }
}

/** Longer is damage, shorter is damage or a beginning: what is missing is a hole, and holes are fetched. */
async function openSparse(path: string, bytes: number): Promise<FileHandle> {
  await (await open(path, 'a+', 0o600)).close()
  const file = await open(path, 'r+')
  try {
    await file.truncate(bytes)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

const [verified, damaged] = [1, 2]

const zeros = Buffer.alloc(leafBytes)

function isZeros(bytes: Buffer): boolean {
  return bytes.equals(zeros.subarray(0, bytes.length))
}
