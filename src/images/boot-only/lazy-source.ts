import { type DataLayout, type Digest, digestOf, type LowerProfile } from '../../base/index.ts'
import type { FileLock } from '../../host/index.ts'
import {
  holdLazyDirectory,
  type LazySource,
  noteLazySource,
  notePlainSource,
  readLazySource,
} from '../../lazy/index.ts'
import type { PlainLower } from './find-plain-lower.ts'
import type { FoundRootfs } from './find-published-rootfs.ts'

export interface NoteFound {
  /** What was asked for. */
  readonly reference: string
  readonly insecure: boolean
}

export interface NotedSource {
  readonly chunkIndex: Digest
  readonly source: LazySource
  /** Its directory is not removed until this is released. */
  readonly lock: FileLock
  /** Resolved when it is written down; rejected with Problem NO_SPACE, IO_FAILED when it cannot be. */
  readonly written: Promise<void>
}

/** Writes down what was found in a registry, so that it can be read in part, also when the registry cannot be asked. It can be read before that is done. @throws Problem NO_SPACE, IO_FAILED */
export async function noteFound(
  layout: DataLayout,
  { repository, rootfs, publishedAs }: FoundRootfs,
  { reference, insecure }: NoteFound,
): Promise<NotedSource> {
  const { manifest, indexBytes } = rootfs
  const chunkIndex = digestOf(indexBytes)
  const source: LazySource = {
    version: 1,
    reference,
    repository: repository.name,
    plain_http: insecure,
    published_as: publishedAs,
    manifest_digest: manifest.subject.digest,
    profile: manifest.profile,
    lower_bytes: [manifest.bootstrap, ...manifest.data].reduce((sum, { lowerBytes }) => sum + lowerBytes, 0),
    data: manifest.data.map(({ digest, diffId, lowerBytes }) => ({ digest, diff_id: diffId, lower_bytes: lowerBytes })),
    ...(manifest.traces.length > 0 && { traces: [...manifest.traces] }),
  }
  return await noted(layout, { chunkIndex, source }, () => noteLazySource(layout, source, indexBytes))
}

/** The same of a lower that is one blob: its directory is called by its manifest. @param profile as its first block has it, when somebody has looked @throws Problem NO_SPACE, IO_FAILED */
export async function noteFoundPlain(
  layout: DataLayout,
  { name, publishedAs, manifest, blob }: PlainLower,
  { reference, insecure, profile }: NoteFound & { readonly profile?: LowerProfile },
): Promise<NotedSource> {
  const source: LazySource = {
    version: 1,
    reference,
    repository: name.repository,
    plain_http: insecure,
    published_as: publishedAs,
    manifest_digest: manifest,
    profile: profile ?? (await readLazySource(layout, manifest))?.profile ?? 'plain',
    lower_bytes: blob.size,
    plain: true,
    blob_digest: blob.digest,
    data: [],
  }
  return await noted(layout, { chunkIndex: manifest, source }, () => notePlainSource(layout, source))
}

async function noted(
  layout: DataLayout,
  found: Pick<NotedSource, 'chunkIndex' | 'source'>,
  note: () => Promise<void>,
): Promise<NotedSource> {
  const lock = await holdLazyDirectory(layout, found.chunkIndex)
  const written = note()
  // Whoever waits for it hears of it.
  written.catch(() => {})
  return { ...found, lock, written }
}
