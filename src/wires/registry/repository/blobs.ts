import { type Digest, isProblem } from '../../../base/index.ts'
import { discard, type HttpResponse } from '../http/http-message.ts'
import type { RequestOptions } from '../registry.ts'
import { checkPath, pushAccess, type RepositoryContext, titleOf } from './repository-context.ts'
import { cancelUpload, uploadState } from './upload-session.ts'

/** @see Repository.hasBlob */
export async function hasBlob(
  repository: RepositoryContext,
  digest: Digest,
  { signal }: RequestOptions = {},
): Promise<boolean> {
  const request = {
    method: 'HEAD',
    target: `${repository.path}/blobs/${digest}`,
    access: pushAccess(repository),
    expect: [200, 404],
    doing: `look for ${titleOf(repository, digest)}`,
    signal,
  } as const
  return await repository.endpoint.ask(request, async (response) => {
    await discard(response)
    return response.status === 200
  })
}

/** @see Repository.mountBlob */
export async function mountBlob(
  repository: RepositoryContext,
  { digest, from, signal }: { readonly digest: Digest; readonly from: string } & RequestOptions,
): Promise<boolean> {
  const { path, scopes } = pushAccess(repository)
  const query = new URLSearchParams({ mount: digest, from: checkPath(from) })
  const request = {
    method: 'POST',
    target: `${path}/blobs/uploads/?${query}`,
    headers: { 'content-length': '0' },
    access: { path, scopes: [...scopes, `repository:${from}:pull`] },
    // Whoever may not read the source can still upload. Whether he may do that, the upload says.
    expect: [201, 202, 400, 401, 403, 404, 405],
    doing: `mount ${digest} of ${from} in ${repository.title}`,
    signal,
  } as const
  try {
    return await repository.endpoint.ask(request, (response) => isMounted(repository, response))
  } catch (error) {
    if (isProblem(error, 'REGISTRY_UNAUTHORIZED')) return false
    throw error
  }
}

async function isMounted(repository: RepositoryContext, response: HttpResponse): Promise<boolean> {
  await discard(response)
  // It has begun an upload instead, which nobody goes on with.
  if (response.status === 202) await cancelUpload(repository, uploadState(repository, response))
  return response.status === 201
}
