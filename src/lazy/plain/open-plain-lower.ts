import { rm } from 'node:fs/promises'
import { type Digest, type Problem, shortDigest } from '../../base/index.ts'
import { leafBytes } from '../../formats/index.ts'
import { fileStatus, installFile } from '../../host/index.ts'
import { UnknownHashes } from '../cache/unknown-hashes.ts'
import type { LazyCounters } from '../counters.ts'
import type { OriginState, OutageListener, OutagePolicy } from '../fetch/outage.ts'
import type { ReadStored } from '../fetch/part-origins.ts'
import { wrongLower } from '../lazy-directory.ts'
import type { LeafHeat } from '../leaf-heat.ts'
import { type FillOptions, type LazyLower, openLazyLower } from '../open-lazy-lower.ts'
import { firstGivenWrong, GivenHashes } from './given-hashes.ts'
import { hashFile, plainIndex } from './plain-index.ts'

export interface OpenPlainLower {
  /** Of all of it, which is all that is known of it. */
  readonly digest: Digest
  readonly bytes: number
  /** Where it is once it was seen to be right. */
  readonly path: string
  /** Where it is until then: a file that nobody else has, on the same filesystem. */
  readonly staged: string
  /** Where it is remembered what guests were given until then; nothing is when it is left out. */
  readonly given?: string | undefined
  readonly readStored: ReadStored
  readonly policy: OutagePolicy
  readonly listener: OutageListener
  /** It is not what its digest says. Nobody is told of that before this resolves, and nothing is given any more. */
  readonly onWrong?: ((problem: Problem) => Promise<void>) | undefined
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
 * @throws Problem DIGEST_MISMATCH when guests were given something else before, IMAGE_IN_USE when another process gives it to guests, NO_SPACE, IO_FAILED, CANCELLED
 */
export async function openPlainLower(options: OpenPlainLower): Promise<OpenedPlain> {
  const { digest, bytes, path, staged, given, signal } = options
  const kept = (await fileStatus(path)) === undefined ? undefined : await hashFile(path, signal)
  if (kept?.digest === digest && kept.bytes === bytes) {
    await refuseGivenWrong(options, kept.leaves)
    const known = { index: plainIndex(options, kept.leaves), isFinal: true, plain: { hashes: 'known' } } as const
    return Object.assign(await openLazyLower({ ...options, ...known }), { isUnverified: false })
  }
  if (kept !== undefined) await rm(path, { force: true })
  const hashes = given === undefined ? new UnknownHashes(bytes) : await GivenHashes.open({ path: given, bytes })
  const none = plainIndex(options, Buffer.alloc(hashes.count * 32))
  try {
    const lower = await openLazyLower({ ...options, path: staged, index: none, plain: { hashes } })
    return new PlainLower(options, lower, hashes)
  } catch (error) {
    if (hashes instanceof GivenHashes) hashes[Symbol.dispose]()
    throw error
  }
}

async function refuseGivenWrong({ digest, given, onWrong }: OpenPlainLower, leaves: Buffer): Promise<void> {
  const leaf = given === undefined ? undefined : await firstGivenWrong(given, leaves)
  if (leaf === undefined) return
  const problem = givenOther(digest, leaf)
  await onWrong?.(problem)
  throw problem
}

class PlainLower implements OpenedPlain {
  readonly isUnverified = true
  readonly whole: Promise<void>
  readonly #options: OpenPlainLower
  readonly #lower: LazyLower
  readonly #hashes: UnknownHashes
  /** Aborted when it is known to be wrong. */
  readonly #failed = new AbortController()
  #isVerified = false
  #wrong: { readonly since: Date; readonly problem: Problem } | undefined

  constructor(options: OpenPlainLower, lower: LazyLower, hashes: UnknownHashes) {
    this.#options = options
    this.#lower = lower
    this.#hashes = hashes
    const other = new Promise<never>((_, reject) => {
      if (hashes instanceof GivenHashes)
        hashes.onOther = (leaf) => void this.#fail(givenOther(options.digest, leaf)).catch(reject)
    })
    this.whole = Promise.race([lower.whole.then(() => this.#verify()), other])
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

  get doubt(): LazyLower['doubt'] {
    if (this.#wrong !== undefined) return 'wrong'
    return this.#isVerified ? undefined : 'unverified'
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
    if (!(bytes instanceof Promise) && this.#mayGive(offset, length)) return bytes
    return this.#give(bytes, offset, length)
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
  async fill({ signal, ...options }: FillOptions): Promise<void> {
    const { signal: failed } = this.#failed
    await this.#lower.fill({ ...options, signal: AbortSignal.any([signal, failed]) }).catch((error: unknown) => {
      if (!failed.aborted) throw error
    })
    await this.whole
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lower[Symbol.asyncDispose]()
    if (this.#hashes instanceof GivenHashes) this.#hashes[Symbol.dispose]()
  }

  #checked(offset: number, length: number): Buffer | Promise<Buffer> {
    if (this.#wrong !== undefined) throw this.#wrong.problem
    return this.#lower.read(offset, length)
  }

  async #give(bytes: Buffer | Promise<Buffer>, offset: number, length: number): Promise<Buffer> {
    const read = await bytes
    if (this.#hashes instanceof GivenHashes && !this.#mayGive(offset, length)) await this.#hashes.remembered()
    if (this.#wrong !== undefined) throw this.#wrong.problem
    return read
  }

  #mayGive(offset: number, length: number): boolean {
    return this.#isVerified || !(this.#hashes instanceof GivenHashes) || this.#hashes.isRemembered(offset, length)
  }

  async #verify(): Promise<void> {
    const { digest, staged, path, signal } = this.#options
    const found = await hashFile(staged, signal)
    if (found.digest !== digest) await this.#fail(notAsPublished(digest, found.digest))
    this.#isVerified = true
    await installFile({ from: staged, to: path })
  }

  /** @throws the problem, always */
  async #fail(problem: Problem): Promise<never> {
    const { staged, listener, onWrong } = this.#options
    this.#wrong ??= { since: new Date(), problem }
    this.#failed.abort()
    await onWrong?.(problem)
    await rm(staged, { force: true })
    listener.degraded(problem)
    throw problem
  }
}

function notAsPublished(digest: Digest, found: Digest): Problem {
  const what = `what the registry gave for ${shortDigest(digest)} has the digest ${shortDigest(found)}`
  return wrongLower({ reason: `${what}: whatever was read of it until now may be wrong` })
}

function givenOther(digest: Digest, leaf: number): Problem {
  const what = `what guests were given of byte ${leaf * leafBytes} of ${shortDigest(digest)} is not what it is now`
  return wrongLower({ reason: `${what}: whatever was read of it until now may be wrong` })
}
