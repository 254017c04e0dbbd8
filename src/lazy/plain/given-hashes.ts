import { createHash } from 'node:crypto'
import { fdatasync, ftruncateSync, readSync, writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { errnoCode, Problem, problemFromSystem } from '../../base/index.ts'
import { leafBytes, leafHashBytes } from '../../formats/index.ts'
import { type FileLock, lockFile, syncDirectory } from '../../host/index.ts'
import { UnknownHashes } from '../cache/unknown-hashes.ts'

export interface OpenGivenHashes {
  /** Made when it is absent. */
  readonly path: string
  /** Of the lower. */
  readonly bytes: number
}

/** How often a leaf may come and be another than it was: what comes wrong once may come right again. */
const maxOther = 3

const sync = promisify(fdatasync)

/**
 * Of a lower of which only the digest of the whole is known: what guests were given of each leaf when it came first, whatever process gave it. A guest has read it then, so a leaf that comes
 * again must be the same; and when all of it is here and right, so was everything that was given. Hashes are durable before anybody is given what they are of.
 * @see docs/decisions/0168-sheds-on-what-cannot-be-verified-yet.md
 */
export class GivenHashes extends UnknownHashes implements Disposable {
  /** Called when a leaf comes as another again and again: one of the two was wrong, and which one nobody can say. */
  onOther: (leaf: number) => void = () => {}
  readonly #path: string
  readonly #lock: FileLock
  readonly #hashes: Buffer
  readonly #others = new Map<number, number>()
  /** 1 for each leaf whose hash is durable. */
  readonly #durable: Uint8Array
  /** Those that are noted, and not durable. */
  #noted: number[] = []
  #synced: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  /** @throws Problem IMAGE_IN_USE when another process gives of it, NO_SPACE, PERMISSION_DENIED, IO_FAILED */
  static async open({ path, bytes }: OpenGivenHashes): Promise<GivenHashes> {
    const lock = await lockFile(path, { mode: 'exclusive' })
    if (lock === undefined) throw isGivenByAnother(path)
    try {
      // That it is there at all is durable, too.
      await syncDirectory(dirname(path))
      return new GivenHashes(path, bytes, lock)
    } catch (error) {
      lock.release()
      throw problemFromSystem(error, `read ${path}`)
    }
  }

  private constructor(path: string, bytes: number, lock: FileLock) {
    super(bytes)
    this.#path = path
    this.#lock = lock
    this.#hashes = Buffer.alloc(this.count * leafHashBytes)
    ftruncateSync(lock.fd, this.#hashes.length)
    readSync(lock.fd, this.#hashes, 0, this.#hashes.length, 0)
    // What another process has noted need not be durable.
    this.#durable = new Uint8Array(this.count)
    for (let leaf = 0; leaf < this.count; leaf++) if (!isNone(this.#hashOf(leaf))) this.#noted.push(leaf)
  }

  override accepts(leaf: number, bytes: Uint8Array): boolean {
    if (!super.accepts(leaf, bytes)) return false
    const hash = createHash('sha256').update(bytes).digest()
    const given = this.#hashOf(leaf)
    if (isNone(given)) this.#note(leaf, hash)
    else if (!hash.equals(given)) {
      this.#countOther(leaf)
      return false
    }
    return true
  }

  /** Whether bytes of the lower may be given: what they are is remembered, whatever becomes of this process or of the host. */
  isRemembered(offset: number, length: number): boolean {
    const last = Math.floor((offset + length - 1) / leafBytes)
    for (let leaf = Math.floor(offset / leafBytes); leaf <= last; leaf++) if (this.#durable[leaf] !== 1) return false
    return true
  }

  /** Resolves when that is so for all that was accepted so far. @throws Problem IO_FAILED */
  remembered(): Promise<void> {
    // One for all who come before it begins.
    this.#next ??= this.#synced
      .catch(() => {})
      .then(async () => {
        this.#next = undefined
        await this.#sync()
      })
    this.#synced = this.#next
    return this.#next
  }

  [Symbol.dispose](): void {
    this.#lock.release()
  }

  async #sync(): Promise<void> {
    const noted = this.#noted
    this.#noted = []
    try {
      await sync(this.#lock.fd)
      for (const leaf of noted) this.#durable[leaf] = 1
    } catch (error) {
      this.#noted.push(...noted)
      throw problemFromSystem(error, `sync ${this.#path}`)
    }
  }

  #note(leaf: number, hash: Buffer): void {
    try {
      writeSync(this.#lock.fd, hash, 0, hash.length, leaf * leafHashBytes)
    } catch (error) {
      throw problemFromSystem(error, `write to ${this.#path}`)
    }
    hash.copy(this.#hashes, leaf * leafHashBytes)
    this.#noted.push(leaf)
  }

  #hashOf(leaf: number): Buffer {
    return this.#hashes.subarray(leaf * leafHashBytes, (leaf + 1) * leafHashBytes)
  }

  #countOther(leaf: number): void {
    const count = (this.#others.get(leaf) ?? 0) + 1
    this.#others.set(leaf, count)
    if (count === maxOther) this.onOther(leaf)
  }
}

/**
 * Holds what was given of a lower against what its leaves are.
 *
 * @param leaves the SHA-256 of each, one after the other
 * @returns the first leaf that was given as another one @throws Problem IO_FAILED
 */
export async function firstGivenWrong(path: string, leaves: Buffer): Promise<number | undefined> {
  const given = await readFile(path).catch((error: unknown) => {
    if (errnoCode(error) === 'ENOENT') return Buffer.alloc(0)
    throw problemFromSystem(error, `read ${path}`)
  })
  for (let at = 0; at < given.length; at += leafHashBytes) {
    const hash = given.subarray(at, at + leafHashBytes)
    if (!isNone(hash) && !hash.equals(leaves.subarray(at, at + leafHashBytes))) return at / leafHashBytes
  }
  return undefined
}

const none = Buffer.alloc(leafHashBytes)

function isNone(hash: Buffer): boolean {
  return hash.equals(none)
}

function isGivenByAnother(path: string): Problem {
  return new Problem('IMAGE_IN_USE', `another process gives guests what cannot be verified yet: it holds ${path}`, {
    hint: 'end that one (it was started as: cowshed lazy serve sha256:…), or serve the image by its name',
  })
}
