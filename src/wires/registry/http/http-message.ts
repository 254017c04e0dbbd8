import type { Dispatcher } from 'undici'

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** With a content-length among the headers. */
export type Body = Buffer | AsyncIterable<Uint8Array>

export interface HttpRequest {
  readonly method: Method
  readonly url: URL
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Body | undefined
  readonly signal?: AbortSignal | undefined
  /** Time that the server may take to answer beyond what it is given anyway: it has much to do. */
  readonly extraMs?: number | undefined
}

export interface HttpResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Dispatcher.ResponseData['body']
  /** Where it came from in the end. */
  readonly url: URL
  /** What the request carried in the end. */
  readonly authorization: string | undefined
}

/** A header's value; several of them joined as a list. */
export function headerOf({ headers }: Pick<HttpResponse, 'headers'>, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/** A number of bytes that a header tells. */
export function contentLength(response: Pick<HttpResponse, 'headers'>): number | undefined {
  const text = headerOf(response, 'content-length')
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** Reads a body that nobody needs, so that its connection can be used again; a long one, and one that breaks off, is cut off with it. */
export async function discard({ body }: HttpResponse): Promise<void> {
  await body.dump({ limit: 64 * 1024, signal: AbortSignal.timeout(2000) }).catch(() => {})
}
