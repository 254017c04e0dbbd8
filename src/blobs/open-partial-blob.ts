import { type FileHandle, mkdir, open, rm, stat } from 'node:fs/promises'
import {
  type DataLayout,
  type Digest,
  DigestHasher,
  digestAlgorithm,
  errnoCode,
  formatSize,
  problemFromSystem,
  shortDigest,
} from '../base/index.ts'
import { cancelled, digestMismatch, sizeMismatch } from './blob-problems.ts'
import type { StagedBlob } from './stage-blob.ts'

export interface OpenPartialBlob {
  readonly layout: DataLayout
  readonly digest: Digest
  /** Bytes that the blob must have. */
  readonly size: number
  readonly signal?: AbortSignal | undefined
  /** Hears how many of its bytes can be read: at first what is there already, then now and then. */
  readonly onGrown?: ((bytes: number) => void) | undefined
}

/** The beginning of a blob, on disk, that grows at its end. One owner at a time. */
export interface PartialBlob extends AsyncDisposable {
  readonly path: string
  /** How much of it has been taken, and hashed; not all of it need be on disk yet. */
  readonly bytes: number
  /** How much of it somebody before us has brought. */
  readonly found: number
  /**
   * Puts bytes to its end, and keeps them: they are written later, many at once and while more come.
   *
   * @throws Problem SIZE_MISMATCH, NO_SPACE, IO_FAILED, also for what was taken before
   */
  append(chunk: Uint8Array): Promise<void>
  /**
   * Proves that it is the whole blob; it stays where it is until the store installs it. With another digest than it should have, or when it could
   * not be made durable, it is removed: there is no telling which of its bytes are wrong.
   *
   * @throws Problem SIZE_MISMATCH, DIGEST_MISMATCH, NO_SPACE, IO_FAILED
   */
  finish(): Promise<StagedBlob>
}

const readBytes = 1 << 20
/** Of one write: each is a trip to another thread, and a network's chunks are small. What a kill -9 costs. */
const writeBytes = 512 * 1024
/** Written back in pieces of this size while there is still a stream to wait for, so that the last sync is quick. */
const writeBackBytes = 16 << 20

/**
 * Takes up a blob where a download left it, or begins it. What is there is hashed again: the state of a hash cannot be kept in a file, and
 * whoever wrote it may have been killed in the middle.
 *
 * @throws Problem CANCELLED, NO_SPACE, IO_FAILED
 */
export async function openPartialBlob(request: OpenPartialBlob): Promise<PartialBlob> {
  const { layout, digest, size, signal, onGrown } = request
  const path = layout.partialBlob(digest)
  try {
    await mkdir(layout.downloads, { recursive: true, mode: 0o700 })
    const found = await sizeOf(path)
    // More than the blob may have cannot be the beginning of it. Not cut off: somebody may be just installing that file.
    if (found !== undefined && found > size) await rm(path, { force: true })
    // Nothing is left to write to one that is whole, and it may have the mode of a blob: whoever was installing it, or was killed at that.
    const file = await open(path, found === size ? 'r' : 'a+', 0o600)
    try {
      const hasher = await hashBeginning(file, { digest, signal })
      onGrown?.(hasher.bytes)
      return new OpenedPartialBlob({ path, file, digest, size, hasher, onGrown })
    } catch (error) {
      await file.close()
      throw error
    }
  } catch (error) {
    throw problemFromSystem(error, `open ${path}`)
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw error
  }
}

async function hashBeginning(
  file: FileHandle,
  { digest, signal }: Pick<OpenPartialBlob, 'digest' | 'signal'>,
): Promise<DigestHasher> {
  const hasher = new DigestHasher(digestAlgorithm(digest))
  const piece = Buffer.allocUnsafeSlow(readBytes)
  for (;;) {
    if (signal?.aborted) throw cancelled(signal)
    const { bytesRead } = await file.read(piece, 0, piece.length, hasher.bytes)
    if (bytesRead === 0) return hasher
    hasher.update(piece.subarray(0, bytesRead))
  }
}

interface Opened extends Pick<OpenPartialBlob, 'digest' | 'size' | 'onGrown'> {
  readonly path: string
  readonly file: FileHandle
  readonly hasher: DigestHasher
}

class OpenedPartialBlob implements PartialBlob {
  readonly path: string
  readonly found: number
  readonly #opened: Opened
  #held: Uint8Array[] = []
  #heldBytes = 0
  #written: number
  /** One at a time, so that they stay in order. */
  #writing: Promise<void> = Promise.resolve()
  #writtenBack: number
  #writingBack: Promise<void> | undefined
  #lost: { readonly error: unknown } | undefined

  constructor(opened: Opened) {
    this.path = opened.path
    this.found = opened.hasher.bytes
    this.#opened = opened
    this.#written = this.found
    this.#writtenBack = this.found
  }

  get bytes(): number {
    return this.#opened.hasher.bytes
  }

  async append(chunk: Uint8Array): Promise<void> {
    const { hasher, digest, size } = this.#opened
    if (hasher.bytes + chunk.length > size) throw sizeMismatch(digest, size, 'more')
    hasher.update(chunk)
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    if (this.#heldBytes < writeBytes) return
    await this.#writing
    this.#writing = this.#write()
    // It is thrown to whoever comes next.
    this.#writing.catch(() => {})
  }

  async finish(): Promise<StagedBlob> {
    const { path, hasher, digest, size } = this.#opened
    if (hasher.bytes !== size) throw sizeMismatch(digest, size, formatSize(hasher.bytes))
    await this.#writeAll()
    const actual = hasher.digest()
    if (actual !== digest) {
      await rm(path, { force: true })
      throw digestMismatch(digest, actual)
    }
    await this.#writingBack
    await this.#sync()
    if (this.#lost !== undefined) throw this.#writeProblem(this.#lost.error)
    return { digest, size, path }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What has come is worth keeping, when it can be; whoever failed knows why.
    await this.#writeAll().catch(() => {})
    await this.#writingBack
    await this.#opened.file.close()
    // Nobody can tell which of its bytes are on disk: from memory it would be read as it should be.
    if (this.#lost !== undefined) await rm(this.path, { force: true })
  }

  async #writeAll(): Promise<void> {
    await this.#writing
    await this.#write()
  }

  async #write(): Promise<void> {
    const bytes = Buffer.concat(this.#held)
    this.#held = []
    this.#heldBytes = 0
    if (bytes.length === 0) return
    try {
      await this.#opened.file.writeFile(bytes)
    } catch (error) {
      throw this.#writeProblem(error)
    }
    this.#written += bytes.length
    this.#opened.onGrown?.(this.#written)
    this.#writeBack()
  }

  /** Not waited for before the end. */
  #writeBack(): void {
    if (this.#writingBack !== undefined || this.#written - this.#writtenBack < writeBackBytes) return
    this.#writtenBack = this.#written
    this.#writingBack = this.#sync().finally(() => {
      this.#writingBack = undefined
    })
  }

  /**
   * Keeps what fails: the kernel tells only once of bytes that it could not write back, and the next sync succeeds without them.
   *
   * @see fsync(2), "EIO"
   */
  async #sync(): Promise<void> {
    try {
      await this.#opened.file.datasync()
    } catch (error) {
      this.#lost ??= { error }
    }
  }

  #writeProblem(error: unknown): Error {
    return problemFromSystem(error, `write blob ${shortDigest(this.#opened.digest)} to ${this.path}`)
  }
}
