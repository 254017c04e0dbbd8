import { join } from 'node:path'
import type { Digest } from '../../base/index.ts'
import { type FileLock, openStaging } from '../../host/index.ts'
import type { PlainLower } from '../../images/index.ts'
import { holdLazyDirectory, type LazySource, notePlainSource, openPlainLower } from '../../lazy/index.ts'
import type { AttachedLazy, AttachLazy } from './attach-lazy.ts'

export interface NotedPlain {
  /** Of the blob, which its directory is called by. */
  readonly chunkIndex: Digest
  readonly source: LazySource
  readonly lock: FileLock
}

/** Writes down what was found, for when the registry cannot be asked. @throws Problem NO_SPACE, IO_FAILED */
export async function notePlain(request: AttachLazy, plain: PlainLower): Promise<NotedPlain> {
  const { layout, reference, insecure } = request
  const { digest, size } = plain.blob
  const source: LazySource = {
    ...{ version: 1, reference, plain: true, plain_http: insecure, profile: 'plain', data: [] },
    ...{ repository: plain.name.repository, published_as: plain.publishedAs, manifest_digest: plain.manifest },
    lower_bytes: size,
  }
  const lock = await holdLazyDirectory(layout, digest)
  try {
    await notePlainSource(layout, source, digest)
    return { chunkIndex: digest, source, lock }
  } catch (error) {
    lock.release()
    throw error
  }
}

export interface OpenPlain {
  readonly blob: Digest
  readonly source: LazySource
  /** What is to be undone, the last first. */
  readonly opened: (() => PromiseLike<void> | void)[]
  readonly close: () => Promise<void>
}

/**
 * Opens a lower that is one blob, and says what that means. Until it is whole it is in staging, where it has one owner: what is there belongs to nobody after a crash, and is fetched again.
 *
 * @throws Problem as openPlainLower does
 */
export async function openPlain(request: AttachLazy, plain: OpenPlain): Promise<AttachedLazy> {
  const { layout, registries, reference, policy, listener, onNotice } = request
  const { blob, source, opened, close } = plain
  const repository = registries.repository(source.repository, { plainHttp: source.plain_http || undefined })
  const staging = await openStaging(layout, 'lazy-plain')
  opened.push(() => staging[Symbol.asyncDispose]())
  const closing = new AbortController()
  const lower = await openPlainLower({
    ...{ digest: blob, bytes: source.lower_bytes, policy, listener },
    ...{ path: layout.lazyLower(blob).data, staged: join(staging.path, 'data') },
    readStored: (stored) => repository.readBlob(stored),
    signal: AbortSignal.any([request.signal, closing.signal]),
  })
  opened.push(
    () => lower[Symbol.asyncDispose](),
    () => closing.abort(),
  )
  const isUnverified = lower.isUnverified
  if (isUnverified) onNotice(warning(reference))
  return { whole: lower.whole, lower, source, chunkIndex: blob, isUnverified, [Symbol.asyncDispose]: close }
}

function warning(reference: string): string {
  return (
    `WARNING: ${reference} is one erofs image without a chunk index: nothing of it can be verified before all of it is here. It is fetched behind what is read, and then verified; ` +
    'when it is not what was published, reads fail from then on. An image that is verified from the first byte: cowshed image publish'
  )
}
