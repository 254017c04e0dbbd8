import { isDigest, isProblem } from '../../../base/index.ts'
import type { ReadBlob, Repository, RepositoryName, RequestOptions } from '../registry.ts'
import { hasBlob, mountBlob } from './blobs.ts'
import { listTags } from './list-tags.ts'
import type { Mirror } from './mirror.ts'
import { readBlob } from './read-blob.ts'
import { readManifest, resolveManifest } from './read-manifest.ts'
import type { RepositoryContext } from './repository-context.ts'
import { uploadBlob } from './upload-blob.ts'
import { writeManifest } from './write-manifest.ts'

export interface OpenRepository {
  readonly name: RepositoryName
  readonly home: RepositoryContext
  /** Asked in order, before `home`, for what has a digest. */
  readonly mirrors: readonly Mirror[]
}

export function openRepository({ name, home, mirrors }: OpenRepository): Repository {
  return {
    name,
    resolve: (reference, options = {}) =>
      anywhere({ home, mirrors, reference, options }, (place) => resolveManifest(place, reference, options)),
    readManifest: (reference, options = {}) =>
      anywhere({ home, mirrors, reference, options }, (place) => readManifest(place, reference, options)),
    readBlob: (request) => readBlobAnywhere({ home, mirrors, request }),
    hasBlob: (digest, options) => hasBlob(home, digest, options),
    mountBlob: (digest, from, options) => mountBlob(home, { digest, from, ...options }),
    uploadBlob: (request) => uploadBlob(home, request),
    writeManifest: (request) => writeManifest(home, request),
    listTags: (options) => listTags(home, options),
  }
}

interface Places {
  readonly home: RepositoryContext
  readonly mirrors: readonly Mirror[]
}

/** What a digest stands for may come from anyone; what a tag stands for, the registry says. */
async function anywhere<T>(
  { home, mirrors, reference, options }: Places & { reference: string; options: RequestOptions },
  read: (place: RepositoryContext) => Promise<T>,
): Promise<T> {
  if (isDigest(reference)) {
    for (const mirror of mirrors.filter(({ rests }) => !rests)) {
      try {
        return await read(mirror.contextOf(home))
      } catch (error) {
        passOver(mirror, error, options.signal)
      }
    }
  }
  return await read(home)
}

/** Goes on at the registry with what a mirror has not given. */
async function* readBlobAnywhere({ home, mirrors, request }: Places & { request: ReadBlob }): AsyncGenerator<Buffer> {
  let from = request.from ?? 0
  for (const mirror of request.mirrors === false ? [] : mirrors.filter(({ rests }) => !rests)) {
    try {
      for await (const chunk of readBlob(mirror.contextOf(home), { ...request, from })) {
        from += chunk.length
        yield chunk
      }
      return
    } catch (error) {
      passOver(mirror, error, request.signal)
    }
  }
  yield* readBlob(home, { ...request, from })
}

/** A mirror that lacks something is asked again for the next thing; one that fails rests. @throws what is no failure of the mirror's */
function passOver(mirror: Mirror, error: unknown, signal: AbortSignal | undefined): void {
  if (signal?.aborted || !isProblem(error) || error.code === 'CANCELLED') throw error
  if (error.code !== 'REGISTRY_NOT_FOUND') mirror.rest()
}
