import { type Digest, type OnProgress, shortDigest } from '../../base/index.ts'
import type { Repository, RepositoryName } from '../../wires/index.ts'

export interface BlobToSend {
  readonly digest: Digest
  readonly size: number
  /** Its bytes from an offset on. */
  readonly open: (from: number) => AsyncIterable<Uint8Array>
  /** Repositories that may have it. */
  readonly mountFrom: readonly RepositoryName[]
}

export interface SendTo {
  readonly repository: Repository
  /** Hears of the phase `push`, in bytes of the blob. */
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}

/** How a blob came to be in a repository. */
export type Sent = 'present' | 'mounted' | 'uploaded'

/**
 * Makes a repository have a blob, by the cheapest way there is.
 *
 * @throws Problem as the registry's client does
 */
export async function sendBlob(to: SendTo, blob: BlobToSend): Promise<Sent> {
  const { repository, onProgress, signal } = to
  const found = await findBlob(to, blob)
  if (found !== undefined) return found
  const { digest, size, open } = blob
  const item = shortDigest(digest)
  const onBytes = (done: number) => onProgress?.({ phase: 'push', item, done, total: size })
  onBytes(0)
  await repository.uploadBlob({ digest, size, open, onBytes, signal })
  return 'uploaded'
}

/** The same, but for a blob whose bytes are not at hand: undefined when it would have to be uploaded. */
export async function findBlob(
  { repository, signal }: SendTo,
  { digest, mountFrom }: Pick<BlobToSend, 'digest' | 'mountFrom'>,
): Promise<Exclude<Sent, 'uploaded'> | undefined> {
  if (await repository.hasBlob(digest, { signal })) return 'present'
  const { registry, path } = repository.name
  for (const from of mountFrom) {
    if (from.registry !== registry || from.path === path) continue
    if (await repository.mountBlob(digest, from.path, { signal })) return 'mounted'
  }
  return undefined
}
