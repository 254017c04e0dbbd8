import { isProblem, Problem, type ProblemCode } from '../../../base/index.ts'
import { Attempts, PassingProblem } from '../../patience/attempts.ts'
import type { RegistryRequest } from '../endpoint.ts'
import { parseContentRange } from '../headers/parse-content-range.ts'
import { contentLength, discard, type HttpResponse, headerOf } from '../http/http-message.ts'
import type { ReadBlob } from '../registry.ts'
import { pullAccess, type RepositoryContext, titleOf } from './repository-context.ts'

/** What a connection must bring for the failures before it to be forgotten: a registry that gives a byte each time is no better than none. */
const gain = 64 * 1024

/** @see Repository.readBlob */
export async function* readBlob(repository: RepositoryContext, request: ReadBlob): AsyncGenerator<Buffer> {
  const { size, from = 0, until = size, signal } = request
  const end = Math.min(until, size)
  const attempts = new Attempts({ patience: repository.endpoint.patience, signal })
  const transfer = new Transfer(repository, request)
  let offset = from
  let gained = 0
  while (offset < end) {
    try {
      for await (const chunk of transfer.read(offset, end)) {
        offset += chunk.length
        gained += chunk.length
        yield chunk
      }
    } catch (error) {
      // What fails after the last byte has nothing to say any more, but that there are further bytes.
      if (offset >= end && error instanceof PassingProblem) return
      transfer.forgetLink()
      if (gained >= gain) attempts.progressed()
      gained = 0
      await attempts.pauseAfter(error)
    }
  }
}

/** The connections of one download, and what was learnt of the registry on the way. */
class Transfer {
  readonly #repository: RepositoryContext
  readonly #request: ReadBlob
  readonly #title: string
  /** Where the registry has the blob. */
  readonly #path: string
  /** A registry that makes nothing of ranges gives the whole again, and what is known of it is thrown away: so much of it, and no more. */
  #skippable: number
  #ranges = true

  constructor(repository: RepositoryContext, request: ReadBlob) {
    this.#repository = repository
    this.#request = request
    this.#title = titleOf(repository, request.digest)
    this.#path = `${repository.path}/blobs/${request.digest}`
    this.#skippable = 2 * request.size
  }

  /**
   * The bytes from `offset` to `end`, over one connection.
   *
   * @throws PassingProblem when it breaks off before `end`
   */
  async *read(offset: number, end: number): AsyncGenerator<Buffer> {
    const { signal, size } = this.#request
    const response = await this.#open(offset, end)
    const { start, stop } = await this.#extent(response, { offset, end })
    let at = start
    for await (const chunk of this.#repository.endpoint.transport.read(response, signal)) {
      const piece = chunk.subarray(Math.max(0, offset - at), Math.max(0, end - at))
      at += chunk.length
      // Beyond its extent a body is wrong, even when the part that is wanted may be right.
      if (at > stop) throw this.#wrong(Problem, 'SIZE_MISMATCH', `sends more than its ${size} bytes`)
      if (piece.length > 0) yield piece
      if (at >= end && end < stop) return
    }
    if (at < end) throw this.#wrong(PassingProblem, 'SIZE_MISMATCH', `ended after ${at} of ${size} bytes`)
  }

  /** The next try asks the registry itself. */
  forgetLink(): void {
    this.#repository.endpoint.links.forget(this.#path)
  }

  /** From where the registry has sent us before, as long as that serves us. */
  async #open(offset: number, end: number): Promise<HttpResponse> {
    const { endpoint } = this.#repository
    const link = this.#request.mirrors === false ? undefined : endpoint.links.get(this.#path)
    if (link !== undefined) {
      try {
        return await endpoint.send(this.#ask(link, offset, end))
      } catch (error) {
        if (!isRefusal(error)) throw error
        this.forgetLink()
      }
    }
    const response = await endpoint.send(this.#ask(this.#path, offset, end))
    if (response.url.origin !== endpoint.transport.home.origin) endpoint.links.keep(this.#path, response.url)
    return response
  }

  #ask(target: string | URL, offset: number, end: number): RegistryRequest {
    const { size, signal } = this.#request
    const partly = this.#ranges && (offset > 0 || end < size)
    return {
      method: 'GET',
      target,
      // Compressed on the way, offsets would be those of something else.
      headers: { 'accept-encoding': 'identity', ...(partly ? { range: `bytes=${offset}-${end - 1}` } : {}) },
      access: pullAccess(this.#repository),
      expect: [200, 206, 416],
      doing: `read ${this.#title}`,
      signal,
    }
  }

  /** Which bytes a body has: from `start`, before `stop`. Only what is surely right is read. */
  async #extent(
    response: HttpResponse,
    wanted: { offset: number; end: number },
  ): Promise<{ start: number; stop: number }> {
    try {
      const encoding = headerOf(response, 'content-encoding') ?? 'identity'
      if (encoding !== 'identity')
        throw this.#wrong(Problem, 'REGISTRY_FAILED', 'comes in another encoding than asked for')
      return response.status === 200 ? this.#whole(response, wanted.offset) : this.#part(response, wanted)
    } catch (error) {
      await discard(response)
      throw error
    }
  }

  #whole(response: HttpResponse, offset: number): { start: number; stop: number } {
    const { size } = this.#request
    const length = contentLength(response)
    if (length !== undefined && length !== size) {
      throw this.#wrong(PassingProblem, 'SIZE_MISMATCH', `has ${length} bytes, not ${size}`)
    }
    if (offset > this.#skippable) {
      throw this.#wrong(
        Problem,
        'REGISTRY_FAILED',
        'cannot be had from the middle, and its connections break too often',
      )
    }
    this.#skippable -= offset
    return { start: 0, stop: size }
  }

  #part(response: HttpResponse, { offset, end }: { offset: number; end: number }): { start: number; stop: number } {
    // Whatever it makes of ranges, it is not what is asked for: next time the whole.
    this.#ranges = false
    if (response.status === 416)
      throw this.#wrong(PassingProblem, 'SIZE_MISMATCH', `is said to end before byte ${offset}`)
    const range = parseContentRange(headerOf(response, 'content-range') ?? '')
    if (range === undefined || range.start !== offset || range.end >= end) {
      throw this.#wrong(PassingProblem, 'REGISTRY_FAILED', 'comes with another range than asked for')
    }
    if (range.total !== undefined && range.total !== this.#request.size) {
      throw this.#wrong(PassingProblem, 'SIZE_MISMATCH', `has ${range.total} bytes, not ${this.#request.size}`)
    }
    this.#ranges = true
    return { start: offset, stop: range.end + 1 }
  }

  #wrong<P>(Kind: new (code: ProblemCode, message: string) => P, code: ProblemCode, what: string): P {
    return new Kind(code, `cannot read ${this.#title} of ${this.#repository.endpoint.registry}: it ${what}`)
  }
}

/** A link is no longer good: 403 of most, 400 or 401 of some. Others have a storage that has much to do. */
function isRefusal(error: unknown): boolean {
  return isProblem(error) && [400, 401, 403, 404, 410].includes(Number(error.data?.status))
}
