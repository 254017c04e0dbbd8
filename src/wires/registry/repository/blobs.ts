import type { Digest } from '../../../base/index.ts'
import { discard } from '../http/http-message.ts'
import type { RequestOptions } from '../registry.ts'
import { pushAccess, type RepositoryContext, titleOf } from './repository-context.ts'
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
  const query = new URLSearchParams({ mount: digest, from })
  const request = {
    method: 'POST',
    target: `${path}/blobs/uploads/?${query}`,
    headers: { 'content-length': '0' },
    access: { path, scopes: [...scopes, `repository:${from}:pull`] },
    expect: [201, 202],
    doing: `mount ${digest} of ${from} in ${repository.title}`,
    signal,
  } as const
  return await repository.endpoint.ask(request, async (response) => {
    await discard(response)
    if (response.status === 201) return true
    // It has begun an upload instead, which nobody goes on with.
    await cancelUpload(repository, uploadState(repository, response))
    return false
  })
}
