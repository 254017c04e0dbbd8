import { type Digest, digestOf, isDigest, Problem } from '../../../base/index.ts'
import { mediaTypes } from '../../../formats/index.ts'
import { discard, headerOf } from '../http/http-message.ts'
import type { WriteManifest } from '../registry.ts'
import { referrerOf, withReferrer } from './keep-referrers.ts'
import { checkReference, pushAccess, type RepositoryContext, titleOf } from './repository-context.ts'

/** @see Repository.writeManifest */
export async function writeManifest(repository: RepositoryContext, document: WriteManifest): Promise<Digest> {
  const { mediaType, bytes, signal } = document
  const { digest, listed } = await write(repository, document)
  const descriptor = { mediaType, digest, size: bytes.length }
  const referrer = listed ? undefined : referrerOf({ descriptor, bytes: Buffer.from(bytes) })
  const list = referrer && (await withReferrer(repository, referrer, { signal }))
  if (list !== undefined) {
    await write(repository, { reference: list.tag, mediaType: mediaTypes.ociIndex, bytes: list.bytes, signal })
  }
  return digest
}

interface Written {
  readonly digest: Digest
  /** Whether the registry itself lists the document with what it is about. */
  readonly listed: boolean
}

async function write(
  repository: RepositoryContext,
  { reference, mediaType, bytes, signal }: WriteManifest,
): Promise<Written> {
  const digest = digestOf(bytes)
  const title = titleOf(repository, reference)
  if (reference.includes(':') && reference !== digest) throw mismatch(title, `the document is ${digest}`)
  const request = {
    method: 'PUT',
    target: `${repository.path}/manifests/${checkReference(reference)}`,
    headers: { 'content-type': mediaType, 'content-length': String(bytes.length) },
    body: () => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    access: pushAccess(repository),
    expect: [200, 201, 202],
    doing: `write ${title}`,
    signal,
  } as const
  return await repository.endpoint.ask(request, async (response) => {
    await discard(response)
    const stored = headerOf(response, 'docker-content-digest') ?? digest
    if (isDigest(stored) && stored.startsWith('sha256:') && stored !== digest) {
      throw mismatch(title, `the registry has made ${stored} of ${digest}`)
    }
    return { digest, listed: headerOf(response, 'oci-subject') !== undefined }
  })
}

function mismatch(title: string, what: string): Problem {
  return new Problem('DIGEST_MISMATCH', `cannot write ${title}: ${what}`)
}
