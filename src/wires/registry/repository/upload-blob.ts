import { isProblem, Problem } from '../../../base/index.ts'
import { Attempts, PassingProblem } from '../../patience/attempts.ts'
import { discard, type HttpResponse } from '../http/http-message.ts'
import type { UploadBlob } from '../registry.ts'
import { hasBlob } from './blobs.ts'
import { pushAccess, type RepositoryContext, titleOf } from './repository-context.ts'
import { askUpload, beginUpload, cancelUpload, type UploadSession, uploadState } from './upload-session.ts'
import { UploadSource } from './upload-source.ts'

/** Up to here a blob goes in one request, and from the start again when that fails. */
const wholeBytes = 4 * 2 ** 20
/** What is left of a part that was too large for a proxy on the way: Cloudflare takes 100 MB, nginx 1 MiB unless told. */
const partBytes = [64 * 2 ** 20, 16 * 2 ** 20, 4 * 2 ** 20, 2 ** 20 - 1024]
/** Registries hash what they have been sent before they answer: at this rate at least. */
const hashedBytesPerMs = 20_000

/** @see Repository.uploadBlob */
export async function uploadBlob(repository: RepositoryContext, request: UploadBlob): Promise<void> {
  const { signal } = request
  const attempts = new Attempts({ patience: repository.endpoint.patience, signal })
  const upload = new Upload(repository, request)
  for (;;) {
    try {
      await upload.goOn(() => attempts.progressed())
      return
    } catch (error) {
      try {
        await attempts.pauseAfter(upload.judge(error))
      } catch (final) {
        await upload.abandon()
        throw final
      }
    }
  }
}

/**
 * One upload, from its begin to its commit, over as many requests as it takes. A blob is sent in one PATCH, because not every registry takes
 * several; what breaks off is taken up where the registry says that it has got to.
 *
 * @see distribution-spec, "Pushing blobs"
 */
class Upload {
  readonly #repository: RepositoryContext
  readonly #request: UploadBlob
  readonly #source: UploadSource
  #session: UploadSession | undefined
  #offset = 0
  #limit = Number.POSITIVE_INFINITY
  /** Something failed: what the registry has is not known. */
  #unsure = false

  constructor(repository: RepositoryContext, request: UploadBlob) {
    this.#repository = repository
    this.#request = request
    this.#source = new UploadSource(request)
  }

  async goOn(progressed: () => void): Promise<void> {
    const { size, signal } = this.#request
    if (this.#unsure && (await this.#findOut())) return
    this.#session ??= await beginUpload(this.#repository, signal)
    this.#unsure = true
    if (this.#inOne) return await this.#commit(this.#session, size)
    while (this.#offset < size) {
      const before = this.#offset
      await this.#sendPart(this.#session)
      if (this.#offset > before) progressed()
    }
    await this.#commit(this.#session, 0)
  }

  /** What a failure means here: of the source, of the digest, or one after which the upload may go on. */
  judge(error: unknown): unknown {
    this.#source.throwFailure()
    if (!isProblem(error) || error instanceof PassingProblem) return error
    const { codes, status } = error.data ?? {}
    if (Array.isArray(codes) && codes.includes('DIGEST_INVALID')) {
      const { digest } = this.#request
      return new Problem('DIGEST_MISMATCH', `what was sent is not ${digest}, says the registry: ${error.message}`, {
        cause: error,
      })
    }
    // Its place in the upload, or the upload itself, is not where it was.
    const lost = this.#session !== undefined && (status === 404 || status === 416)
    return lost ? new PassingProblem(error.code, error.message, { data: error.data ?? {} }) : error
  }

  async abandon(): Promise<void> {
    if (this.#session !== undefined) await cancelUpload(this.#repository, this.#session)
  }

  get #inOne(): boolean {
    return this.#request.size <= wholeBytes && this.#offset === 0
  }

  /** After a failure: whether the blob is there in spite of it, and if not, where to go on. */
  async #findOut(): Promise<boolean> {
    const { digest, signal, size, onBytes } = this.#request
    const state =
      this.#session === undefined || this.#inOne ? undefined : await askUpload(this.#repository, this.#session, signal)
    if (state?.received !== undefined && state.received <= size) {
      this.#session = state
      this.#offset = state.received
    } else {
      if (await hasBlob(this.#repository, digest, { signal })) return true
      this.#session = undefined
      this.#offset = 0
    }
    onBytes?.(this.#offset)
    return false
  }

  async #sendPart(session: UploadSession): Promise<void> {
    const { size } = this.#request
    const offset = this.#offset
    const length = Math.min(size - offset, Math.max(this.#limit, session.leastBytes))
    const response = await this.#send(session.location, {
      method: 'PATCH',
      offset,
      length,
      expect: [202, 204, 413],
      headers: { 'content-range': `${offset}-${offset + length - 1}` },
    })
    if (response.status === 413) {
      this.#limit = partBytes.find((bytes) => bytes < length) ?? this.#tooLarge(length)
      this.#session = (await askUpload(this.#repository, session, this.#request.signal)) ?? session
      return
    }
    const { received, ...next } = uploadState(this.#repository, response)
    this.#session = { ...next, leastBytes: Math.max(next.leastBytes, session.leastBytes) }
    this.#offset = received === undefined || received > size ? offset + length : received
  }

  async #commit({ location }: UploadSession, length: number): Promise<void> {
    const { digest, size, onBytes } = this.#request
    const target = new URL(location)
    // Appended, not set: what else is in the query must stay as the registry wrote it.
    target.search = `${target.search}${target.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`
    await this.#send(target, { method: 'PUT', offset: 0, length, expect: [201, 204] })
    onBytes?.(size)
  }

  async #send(target: URL, part: Part): Promise<HttpResponse> {
    const { offset, length, method, expect, headers } = part
    const { digest, size, signal } = this.#request
    const response = await this.#repository.endpoint.send({
      method,
      target,
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(length), ...headers },
      body: () => (length === 0 ? Buffer.alloc(0) : this.#source.body(offset, length)),
      access: pushAccess(this.#repository),
      expect,
      doing: `upload ${titleOf(this.#repository, digest)}`,
      signal,
      extraMs: size / hashedBytesPerMs,
    })
    await discard(response)
    return response
  }

  #tooLarge(length: number): never {
    throw new Problem(
      'REGISTRY_FAILED',
      `${this.#repository.endpoint.registry} takes no parts of ${length} bytes (413)`,
      {
        hint: 'a proxy before the registry limits the size of requests: raise its limit',
      },
    )
  }
}

interface Part {
  readonly method: 'PATCH' | 'PUT'
  readonly offset: number
  readonly length: number
  readonly expect: readonly number[]
  readonly headers?: Readonly<Record<string, string>>
}
