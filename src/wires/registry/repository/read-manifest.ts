import {
  type Digest,
  DigestHasher,
  digestAlgorithm,
  digestOf,
  isDigest,
  Problem,
  printable,
} from '../../../base/index.ts'
import {
  checkDocument,
  type Descriptor,
  documentKind,
  documentLimits,
  isSchema1,
  mediaTypes,
  parseJsonObject,
} from '../../../formats/index.ts'
import { contentLength, discard, type HttpResponse, headerOf } from '../http/http-message.ts'
import { readBounded } from '../http/read-bounded.ts'
import type { RemoteManifest, RequestOptions } from '../registry.ts'
import { checkReference, pullAccess, type RepositoryContext, titleOf } from './repository-context.ts'

const { ociManifest, ociIndex, dockerManifest, dockerManifestList } = mediaTypes
const accept = [ociManifest, ociIndex, dockerManifest, dockerManifestList].join(', ')
const maxBytes = Math.max(documentLimits.manifest, documentLimits.index)

/** @see Repository.resolve */
export async function resolveManifest(
  repository: RepositoryContext,
  reference: string,
  options: RequestOptions = {},
): Promise<Descriptor> {
  const found = await headManifest(repository, reference, options)
  return found ?? (await readManifest(repository, reference, options)).descriptor
}

/** @see Repository.readManifest */
export async function readManifest(
  repository: RepositoryContext,
  reference: string,
  { signal }: RequestOptions = {},
): Promise<RemoteManifest> {
  const { endpoint } = repository
  const request = { ...manifestRequest(repository, reference, signal), method: 'GET', expect: [200] } as const
  return await endpoint.ask(request, async (response) => {
    const length = contentLength(response)
    if (length !== undefined && length > maxBytes) {
      await discard(response)
      throw tooLarge(repository, reference, length)
    }
    const bytes = await readBounded(endpoint.transport, response, {
      maxBytes,
      noun: titleOf(repository, reference),
      signal,
    })
    return checkManifest(bytes, { response, reference, title: titleOf(repository, reference) })
  })
}

/** What HEAD tells; undefined when it does not tell all. */
async function headManifest(
  repository: RepositoryContext,
  reference: string,
  { signal }: RequestOptions,
): Promise<Descriptor | undefined> {
  const request = manifestRequest(repository, reference, signal)
  // What a HEAD that fails means, GET says: there are registries that know none, and an error in HEAD has no text.
  const expect = [200, 400, 403, 404, 405, 406, 501]
  return await repository.endpoint.ask({ ...request, method: 'HEAD', expect }, async (response) => {
    await discard(response)
    const mediaType = mediaTypeOf(response)
    const size = contentLength(response)
    const claimed = headerOf(response, 'docker-content-digest') ?? ''
    const digest = isDigest(reference) ? reference : claimed
    if (response.status !== 200 || size === undefined || size === 0 || !isDigest(digest)) return undefined
    return documentKind(mediaType) === undefined ? undefined : { mediaType, digest, size }
  })
}

function manifestRequest(repository: RepositoryContext, reference: string, signal: AbortSignal | undefined) {
  return {
    target: `${repository.path}/manifests/${checkReference(reference)}`,
    headers: { accept, 'accept-encoding': 'identity' },
    access: pullAccess(repository),
    doing: `read ${titleOf(repository, reference)}`,
    signal,
  }
}

interface Arrived {
  readonly response: HttpResponse
  readonly reference: string
  readonly title: string
}

/** First the digest, then what it says. @throws Problem DIGEST_MISMATCH, IMAGE_INVALID, IMAGE_UNSUPPORTED */
function checkManifest(bytes: Buffer, { response, reference, title }: Arrived): RemoteManifest {
  if (isDigest(reference)) checkDigest(bytes, reference, title)
  const claimed = headerOf(response, 'docker-content-digest') ?? ''
  if (isDigest(claimed)) checkDigest(bytes, claimed, title)
  const mediaType = checkMediaType(bytes, mediaTypeOf(response), title)
  const digest = isDigest(reference) ? reference : digestOf(bytes)
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes }
}

function checkDigest(bytes: Buffer, expected: Digest, title: string): void {
  const hasher = new DigestHasher(digestAlgorithm(expected))
  hasher.update(bytes)
  const actual = hasher.digest()
  if (actual === expected) return
  throw new Problem('DIGEST_MISMATCH', `what the registry sent for ${title} is ${actual}, not ${expected}`, {
    hint: 'try again; if it stays so, the registry or what stands before it is damaged',
    data: { expected, actual },
  })
}

/**
 * The media type that the answer and the document agree on. A server that knows no types (`application/json`, `text/plain`) leaves it to the
 * document.
 *
 * @see CVE-2021-41190
 */
function checkMediaType(bytes: Buffer, told: string, title: string): string {
  if (isSchema1(told)) checkDocument({}, 'manifest', told)
  const document = parseJsonObject(bytes, { noun: `the manifest ${title}`, maxBytes })
  const generic = /^(?:|application\/json|application\/octet-stream|text\/plain)$/.test(told)
  const own = typeof document.mediaType === 'string' ? document.mediaType : ''
  const mediaType = generic ? own || (Array.isArray(document.manifests) ? ociIndex : ociManifest) : told
  const kind = documentKind(mediaType)
  checkDocument(document, kind ?? 'manifest', mediaType)
  if (kind !== undefined) return mediaType
  throw new Problem('IMAGE_UNSUPPORTED', printable(`${title} is of type ${mediaType.slice(0, 120)}, which is no image`))
}

/** In lower case and without parameters; empty when there is none. */
function mediaTypeOf(response: HttpResponse): string {
  return (headerOf(response, 'content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
}

function tooLarge(repository: RepositoryContext, reference: string, bytes: number): Problem {
  return new Problem(
    'LIMIT_EXCEEDED',
    `${titleOf(repository, reference)} has ${bytes} bytes; at most ${maxBytes} are accepted`,
  )
}
