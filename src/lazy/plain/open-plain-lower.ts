import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { type Digest, Problem, parseDigest, problemFromSystem, shortDigest } from '../../base/index.ts'
import { type ChunkIndex, LeafHasher, leafBytes } from '../../formats/index.ts'
import { fileStatus, installFile } from '../../host/index.ts'
import type { LazyCounters } from '../counters.ts'
import type { OriginState, OutageListener, OutagePolicy } from '../fetch/outage.ts'
import type { ReadStored } from '../fetch/part-origins.ts'
import type { LeafHeat } from '../leaf-heat.ts'
import { type FillOptions, type LazyLower, openLazyLower } from '../open-lazy-lower.ts'

export interface OpenPlainLower {
  /** Of all of it, which is all that is known of it. */
  readonly digest: Digest
  readonly bytes: number
  /** Where it is once it was seen to be right. */
  readonly path: string
  /** Where it is until then: a file that nobody else has, on the same filesystem. */
  readonly staged: string
  readonly readStored: ReadStored
  readonly policy: OutagePolicy
  readonly listener: OutageListener
  readonly signal: AbortSignal
}

export interface OpenedPlain extends LazyLower {
  /** Whether nothing of it was verified when it was opened. */
  readonly isUnverified: boolean
}

/**
 * Opens a lower that is one blob of a registry, and of which nothing can be verified until all of it is here. Then it is, and kept when it is right; when it is not, `whole` is rejected
 * with DIGEST_MISMATCH, and so is every read from then on. What an earlier process has kept is verified, all of it, before any of it is given.
 *
 * @throws Problem NO_SPACE, IO_FAILED, CANCELLED
 */
export async function openPlainLower(options: OpenPlainLower): Promise<OpenedPlain> {
  const { digest, bytes, path, staged } = options
  const kept = await hashKept(options)
  if (kept?.digest === digest) {
    const known = { index: indexOf(options, kept.leaves), isFinal: true, plain: { hashes: 'known' } } as const
    return Object.assign(await openLazyLower({ ...options, ...known }), { isUnverified: false })
  }
  if (kept !== undefined) await rm(path, { force: true })
  const none = Buffer.alloc(Math.ceil(bytes / leafBytes) * 32)
  const plain = { hashes: 'unknown' } as const
  return new PlainLower(
    options,
    await openLazyLower({ ...options, path: staged, index: indexOf(options, none), plain }),
  )
}

class PlainLower implements OpenedPlain {
  readonly isUnverified = true
  readonly whole: Promise<void>
  readonly #options: OpenPlainLower
  readonly #lower: LazyLower
  #isVerified = false
  #wrong: { readonly since: Date; readonly problem: Problem } | undefined

  constructor(options: OpenPlainLower, lower: LazyLower) {
    this.#options = options
    this.#lower = lower
    this.whole = lower.whole.then(() => this.#verify())
    // Somebody may be interested, and need not be.
    this.whole.catch(() => {})
  }

  get bytes(): number {
    return this.#lower.bytes
  }

  get counters(): Readonly<LazyCounters> {
    return this.#lower.counters
  }

  get leaves() {
    const { count, missing } = this.#lower.leaves
    // What was not verified is not here.
    return { count, missing: this.#isVerified ? missing : Math.max(missing, 1) }
  }

  get origin(): OriginState {
    return this.#wrong === undefined ? this.#lower.origin : { state: 'degraded', ...this.#wrong }
  }

  hereBytes(): number {
    return this.#lower.hereBytes()
  }

  heat(): LeafHeat {
    return this.#lower.heat()
  }

  get touched(): readonly number[] {
    return this.#lower.touched
  }

  read(offset: number, length: number): Buffer | Promise<Buffer> {
    const bytes = this.#checked(offset, length)
    return bytes instanceof Promise ? bytes.then((read) => this.#unlessWrong(read)) : bytes
  }

  hint(offset: number, length: number): void {
    if (this.#wrong === undefined) this.#lower.hint(offset, length)
  }

  runAt(offset: number, length: number) {
    return this.#lower.runAt(offset, length)
  }

  file(): number | undefined {
    return this.#isVerified ? this.#lower.file?.() : undefined
  }

  /** @throws Problem DIGEST_MISMATCH too: it is not done before it was verified */
  async fill(options: FillOptions): Promise<void> {
    await this.#lower.fill(options)
    await this.whole
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#lower[Symbol.asyncDispose]()
  }

  #checked(offset: number, length: number): Buffer | Promise<Buffer> {
    if (this.#wrong !== undefined) throw this.#wrong.problem
    return this.#lower.read(offset, length)
  }

  #unlessWrong(bytes: Buffer): Buffer {
    if (this.#wrong !== undefined) throw this.#wrong.problem
    return bytes
  }

  async #verify(): Promise<void> {
    const { digest, staged, path, signal, listener } = this.#options
    const found = await hashFile(staged, signal)
    if (found.digest !== digest) {
      const problem = notAsPublished(digest, found.digest)
      this.#wrong = { since: new Date(), problem }
      await rm(staged, { force: true })
      listener.degraded(problem)
      throw problem
    }
    this.#isVerified = true
    await installFile({ from: staged, to: path })
  }
}

function notAsPublished(digest: Digest, found: Digest): Problem {
  const what = `what the registry gave for ${shortDigest(digest)} has the digest ${shortDigest(found)}`
  return new Problem('DIGEST_MISMATCH', `${what}: whatever was read of it until now may be wrong`, {
    hint: 'do not use what was made of it; the registry or somebody between changes it: push the image again, or publish it: cowshed image publish',
  })
}

/** One part, whose chunks are its leaves, each as it is. */
function indexOf({ digest, bytes }: OpenPlainLower, leaves: Buffer): ChunkIndex {
  const lengths = Uint32Array.from({ length: Math.ceil(bytes / leafBytes) }, (_, at) =>
    Math.min(leafBytes, bytes - at * leafBytes),
  )
  return { writerVersion: 0, profile: 'plain', parts: [{ digest, lengths, storedLengths: lengths }], leaves }
}

/** Of what an earlier process has kept, if any. */
async function hashKept({ path, bytes, signal }: OpenPlainLower) {
  const status = await fileStatus(path)
  if (status === undefined) return undefined
  return status.size === bytes ? await hashFile(path, signal) : { digest: undefined, leaves: Buffer.alloc(0) }
}

async function hashFile(
  path: string,
  signal: AbortSignal,
): Promise<{ readonly digest: Digest; readonly leaves: Buffer }> {
  const hash = createHash('sha256')
  const leaves = new LeafHasher()
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>) {
      if (signal.aborted) throw new Problem('CANCELLED', 'it was stopped on request')
      hash.update(piece)
      leaves.update(piece)
    }
  } catch (error) {
    throw problemFromSystem(error, `read ${path}`)
  }
  return { digest: parseDigest(`sha256:${hash.digest('hex')}`), leaves: leaves.finish() }
}
