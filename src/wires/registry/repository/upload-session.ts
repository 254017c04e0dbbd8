import { parseReceived } from '../headers/parse-received.ts'
import { resolveTarget } from '../http/follow.ts'
import { discard, type HttpResponse, headerOf } from '../http/http-message.ts'
import { pushAccess, type RepositoryContext } from './repository-context.ts'

/** An upload that a registry has begun: where the next request of it goes. */
export interface UploadSession {
  readonly location: URL
  /** The least bytes that a part may have, but for the last. */
  readonly leastBytes: number
}

export interface UploadState extends UploadSession {
  /** Bytes that the registry has; undefined when it does not say. */
  readonly received: number | undefined
}

/** One try. @throws what Endpoint.send throws */
export async function beginUpload(
  repository: RepositoryContext,
  signal: AbortSignal | undefined,
): Promise<UploadSession> {
  const response = await repository.endpoint.send({
    method: 'POST',
    target: `${repository.path}/blobs/uploads/`,
    headers: { 'content-length': '0' },
    access: pushAccess(repository),
    expect: [202],
    doing: `begin an upload to ${repository.title}`,
    signal,
  })
  await discard(response)
  return uploadState(repository, response)
}

/** How far an upload is; undefined when the registry no longer knows it. One try. */
export async function askUpload(
  repository: RepositoryContext,
  { location, leastBytes }: UploadSession,
  signal: AbortSignal | undefined,
): Promise<UploadState | undefined> {
  const response = await repository.endpoint.send({
    method: 'GET',
    target: location,
    access: pushAccess(repository),
    expect: [200, 204, 404],
    doing: `go on with an upload to ${repository.title}`,
    signal,
  })
  await discard(response)
  if (response.status === 404) return undefined
  const named = headerOf(response, 'location') !== undefined
  const state = named ? uploadState(repository, response) : { location, leastBytes, received: receivedOf(response) }
  return { ...state, leastBytes: Math.max(state.leastBytes, leastBytes) }
}

/** What an answer of an upload tells. @throws Problem REGISTRY_FAILED when it does not say where to go on */
export function uploadState({ endpoint }: RepositoryContext, response: HttpResponse): UploadState {
  const location = resolveTarget(endpoint.transport.home, response.url, headerOf(response, 'location'))
  const least = headerOf(response, 'oci-chunk-min-length') ?? ''
  return { location, leastBytes: /^\d{1,10}$/.test(least) ? Number(least) : 0, received: receivedOf(response) }
}

/** Tells the registry that an upload is not gone on with. When it does not hear of it, it forgets the upload by itself some day. */
export async function cancelUpload(
  repository: RepositoryContext,
  { location }: Pick<UploadSession, 'location'>,
): Promise<void> {
  try {
    const response = await repository.endpoint.send({
      method: 'DELETE',
      target: location,
      access: pushAccess(repository),
      expect: [200, 202, 204],
      doing: `end an upload to ${repository.title}`,
      signal: AbortSignal.timeout(2000),
    })
    await discard(response)
  } catch {
    // Nothing depends on it.
  }
}

function receivedOf(response: HttpResponse): number | undefined {
  return parseReceived(headerOf(response, 'range') ?? '')
}
