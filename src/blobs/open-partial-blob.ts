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
}

/** The beginning of a blob, on disk, that grows at its end. One owner at a time. */
export interface PartialBlob extends AsyncDisposable {
  readonly path: string
  /** How much of it is there, and hashed. */
  readonly bytes: number
  /** How much of it somebody before us has brought. */
  readonly found: number
  /** Puts bytes to its end; they can be read when the promise resolves. @throws Problem SIZE_MISMATCH, NO_SPACE, IO_FAILED */
  append(chunk: Uint8Array): Promise<void>
  /**
   * Proves that it is the whole blob; it stays where it is until the store installs it. With another digest than it should have it is removed:
   * there is no telling which of its bytes are wrong.
   *
   * @throws Problem SIZE_MISMATCH, DIGEST_MISMATCH, NO_SPACE
   */
  finish(): Promise<StagedBlob>
}

const readBytes = 1 << 20
/** Written back in pieces of this size while there is still a stream to wait for, so that the last sync is quick. */
const writeBackBytes = 16 << 20

/**
 * Takes up a blob where a download left it, or begins it. What is there is hashed again: the state of a hash cannot be kept in a file, and
 * whoever wrote it may have been killed in the middle.
 *
 * @throws Problem CANCELLED, NO_SPACE, IO_FAILED
 */
export async function openPartialBlob({ layout, digest, size, signal }: OpenPartialBlob): Promise<PartialBlob> {
  const path = layout.partialBlob(digest)
  try {
    await mkdir(layout.downloads, { recursive: true, mode: 0o700 })
    // More than the blob may have cannot be the beginning of it. Not cut off: somebody may be just installing that file.
    if ((await sizeOf(path)) > size) await rm(path, { force: true })
    const file = await open(path, 'a+', 0o600)
    try {
      const hasher = await hashBeginning(file, { digest, signal })
      return new OpenedPartialBlob({ path, file, digest, size, hasher })
    } catch (error) {
      await file.close()
      throw error
    }
  } catch (error) {
    throw problemFromSystem(error, `open ${path}`)
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return 0
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

interface Opened extends Pick<OpenPartialBlob, 'digest' | 'size'> {
  readonly path: string
  readonly file: FileHandle
  readonly hasher: DigestHasher
}

class OpenedPartialBlob implements PartialBlob {
  readonly path: string
  readonly found: number
  readonly #opened: Opened
  #writtenBack: number
  #writingBack: Promise<unknown> | undefined

  constructor(opened: Opened) {
    this.path = opened.path
    this.found = opened.hasher.bytes
    this.#opened = opened
    this.#writtenBack = this.found
  }

  get bytes(): number {
    return this.#opened.hasher.bytes
  }

  async append(chunk: Uint8Array): Promise<void> {
    const { file, hasher, digest, size } = this.#opened
    if (hasher.bytes + chunk.length > size) throw sizeMismatch(digest, size, 'more')
    try {
      const writing = file.writeFile(chunk)
      // On this thread, while another one writes.
      hasher.update(chunk)
      await writing
      this.#writeBack()
    } catch (error) {
      throw this.#writeProblem(error)
    }
  }

  async finish(): Promise<StagedBlob> {
    const { path, file, hasher, digest, size } = this.#opened
    if (hasher.bytes !== size) throw sizeMismatch(digest, size, formatSize(hasher.bytes))
    const actual = hasher.digest()
    if (actual !== digest) {
      await rm(path, { force: true })
      throw digestMismatch(digest, actual)
    }
    try {
      await file.datasync()
    } catch (error) {
      throw this.#writeProblem(error)
    }
    return { digest, size, path }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writingBack
    await this.#opened.file.close()
  }

  /** Not waited for; what goes wrong with it goes wrong again in the end, where it is told. */
  #writeBack(): void {
    if (this.#writingBack !== undefined || this.bytes - this.#writtenBack < writeBackBytes) return
    this.#writtenBack = this.bytes
    this.#writingBack = this.#opened.file
      .datasync()
      .catch(() => {})
      .finally(() => {
        this.#writingBack = undefined
      })
  }

  #writeProblem(error: unknown): Error {
    return problemFromSystem(error, `write blob ${shortDigest(this.#opened.digest)} to ${this.path}`)
  }
}
