import { Problem } from '../../base/index.ts'
import { defaultPatience, type Patience } from '../patience/index.ts'
import { S3Exchange } from './s3-exchange.ts'
import type { S3Credentials } from './sign-request.ts'
import { elementsOf, textOf } from './xml.ts'

export interface S3Options {
  /** `https://s3.example:9000`; the store of the region at Amazon unless told. */
  readonly endpoint?: string | undefined
  readonly region: string
  readonly bucket: string
  /** Whether the bucket is the first part of the path, as most stores have it, or of the host name. */
  readonly pathStyle: boolean
  readonly credentials: () => Promise<S3Credentials>
  readonly patience?: Patience | undefined
}

export interface S3Object {
  readonly key: string
  readonly bytes: number
  /** By the clock of the store. */
  readonly changedMs: number
}

interface Options {
  readonly signal?: AbortSignal | undefined
}

/** One bucket. All throw Problem BACKUP_TARGET_UNREACHABLE, BACKUP_TARGET_FAILED, CANCELLED. */
export interface S3Bucket {
  /** @param maxBytes what the object may have at most @returns undefined when there is no such object */
  get(
    key: string,
    options: Options & { range?: { offset: number; length: number }; maxBytes: number },
  ): Promise<Buffer | undefined>
  put(key: string, body: Buffer, options?: Options): Promise<void>
  /** With `If-None-Match: *`, which not every store heeds. @returns false when the store says that there is one */
  putNew(key: string, body: Buffer, options?: Options): Promise<boolean>
  list(prefix: string, options?: Options): AsyncIterable<S3Object>
  remove(key: string, options?: Options): Promise<void>
  close(): Promise<void>
}

/** Answers that hold no object are small. */
const smallAnswer = 8 << 20

/** Opens a bucket; nothing is asked yet. @throws Problem INVALID_REQUEST when the endpoint is no http URL */
export function openS3Bucket(options: S3Options): S3Bucket {
  return new Bucket(options)
}

class Bucket implements S3Bucket {
  readonly #base: URL
  readonly #exchange: S3Exchange

  constructor({ region, credentials, patience = defaultPatience, ...place }: S3Options) {
    this.#base = baseOf({ region, ...place })
    this.#exchange = new S3Exchange({ region, credentials, patience })
  }

  async get(key: string, { signal, range, maxBytes }: Parameters<S3Bucket['get']>[1]): Promise<Buffer | undefined> {
    const headers = range === undefined ? {} : { range: `bytes=${range.offset}-${range.offset + range.length - 1}` }
    const request = { method: 'GET' as const, url: this.#urlOf(key), headers, signal }
    const { status, body } = await this.#exchange.send({ ...request, maxBytes, expected: [200, 206, 404, 416] })
    if (status === 404) return notThere(body)
    if (status === 416) return Buffer.alloc(0)
    // A store, or what is before it, that does not know ranges gives all of it.
    if (status === 200 && range !== undefined) return body.subarray(range.offset, range.offset + range.length)
    return body
  }

  async put(key: string, body: Buffer, { signal }: Options = {}): Promise<void> {
    await this.#exchange.send({ ...put(this.#urlOf(key), body, signal), expected: [200] })
  }

  async putNew(key: string, body: Buffer, { signal }: Options = {}): Promise<boolean> {
    const request = { ...put(this.#urlOf(key), body, signal), headers: { 'if-none-match': '*' } }
    // 409: another write of it is under way.
    const { status } = await this.#exchange.send({ ...request, expected: [200, 409, 412] })
    return status === 200
  }

  async *list(prefix: string, { signal }: Options = {}): AsyncGenerator<S3Object> {
    for (let token: string | undefined; ; ) {
      const url = new URL(this.#base)
      const query = { 'list-type': '2', prefix, ...(token === undefined ? {} : { 'continuation-token': token }) }
      url.search = new URLSearchParams(query).toString().replaceAll('+', '%20')
      const request = { method: 'GET' as const, url, signal, maxBytes: smallAnswer, expected: [200] }
      const xml = (await this.#exchange.send(request)).body.toString()
      yield* elementsOf(xml, 'Contents').map((element) => parseObject(element, url))
      const next = textOf(xml, 'IsTruncated') === 'true' ? textOf(xml, 'NextContinuationToken') : undefined
      // One that has no end would be listed for ever.
      if (next === undefined || next === token) return
      token = next
    }
  }

  async remove(key: string, { signal }: Options = {}): Promise<void> {
    const request = { method: 'DELETE' as const, url: this.#urlOf(key), signal, maxBytes: smallAnswer }
    await this.#exchange.send({ ...request, expected: [200, 204, 404] })
  }

  async close(): Promise<void> {
    await this.#exchange.close()
  }

  #urlOf(key: string): URL {
    const url = new URL(this.#base)
    url.pathname = `${url.pathname.replace(/\/$/, '')}/${key}`
    return url
  }
}

function put(url: URL, body: Buffer, signal: AbortSignal | undefined) {
  return { method: 'PUT' as const, url, body, signal, maxBytes: smallAnswer }
}

/** A bucket that is not there is no object that is not there. */
function notThere(body: Buffer): undefined {
  if (textOf(body.toString(), 'Code') !== 'NoSuchBucket') return undefined
  throw new Problem('BACKUP_TARGET_FAILED', 'there is no such bucket', {
    hint: 'make the bucket first: cowshed makes none',
  })
}

function parseObject(element: string, { host }: URL): S3Object {
  const [key, size, changed] = ['Key', 'Size', 'LastModified'].map((name) => textOf(element, name))
  const [bytes, changedMs] = [Number(size), Date.parse(changed ?? '')]
  if (key === undefined || !Number.isSafeInteger(bytes) || Number.isNaN(changedMs)) {
    throw new Problem('BACKUP_TARGET_FAILED', `${host} lists what is not an object`)
  }
  return { key, bytes, changedMs }
}

function baseOf({
  endpoint,
  region,
  bucket,
  pathStyle,
}: Pick<S3Options, 'endpoint' | 'region' | 'bucket' | 'pathStyle'>): URL {
  const text = endpoint ?? `https://s3.${region}.amazonaws.com`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw new Problem('INVALID_REQUEST', `not the endpoint of a store: ${JSON.stringify(text.slice(0, 100))}`, {
      hint: 'write https://HOST[:PORT]; credentials have places of their own: docs/backups.md',
    })
  }
  if (pathStyle) url.pathname = `${url.pathname.replace(/\/$/, '')}/${bucket}`
  else url.hostname = `${bucket}.${url.hostname}`
  return url
}
