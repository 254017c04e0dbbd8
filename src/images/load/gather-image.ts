import { readFile } from 'node:fs/promises'
import { type Digest, Problem } from '../../base/index.ts'
import type { BlobStore, StagedBlob } from '../../blobs/index.ts'
import {
  type Descriptor,
  documentKind,
  documentLimits,
  type ImageIndex,
  type Manifest,
  parseIndex,
  parseManifest,
} from '../../formats/index.ts'
import type { LoadSource } from './load-source.ts'
import type { IsPresent } from './presence.ts'

/** A descriptor with all that it leads to, as far as the source and the store have it. */
export interface Gathered {
  readonly descriptor: Descriptor
  /** Undefined when neither has it. */
  readonly blob: GatheredBlob | undefined
  readonly index?: ImageIndex
  readonly manifest?: Manifest
  readonly members: readonly Gathered[]
}

export interface GatheredBlob {
  readonly path: string
  /** Undefined when the store has it already. */
  readonly staged: StagedBlob | undefined
}

export interface GatherFrom {
  readonly source: LoadSource
  readonly blobs: BlobStore
  readonly isPresent: IsPresent
}

/** Descriptors below one root at most. */
const maxDescriptors = 100_000

/**
 * Fetches everything that a descriptor leads to. Documents are parsed only after they were verified, as what their descriptors say they are.
 *
 * @throws Problem IMAGE_INVALID, SIZE_MISMATCH, DIGEST_MISMATCH, LIMIT_EXCEEDED, NO_SPACE, CANCELLED
 */
export async function gatherImage(root: Descriptor, from: GatherFrom): Promise<Gathered> {
  const known = new Map<Digest, Gathered>()
  let count = 0

  const gather = async (descriptor: Descriptor): Promise<Gathered> => {
    if (++count > maxDescriptors) {
      throw new Problem('LIMIT_EXCEEDED', `an image leads to more than ${maxDescriptors} blobs`)
    }
    const before = known.get(descriptor.digest)
    if (before?.descriptor.size === descriptor.size) return { ...before, descriptor }
    const blob = await obtain(descriptor, from)
    const gathered = blob === undefined ? { descriptor, blob, members: [] } : await follow(descriptor, blob)
    known.set(descriptor.digest, gathered)
    return gathered
  }

  const follow = async (descriptor: Descriptor, blob: GatheredBlob): Promise<Gathered> => {
    const kind = documentKind(descriptor.mediaType)
    if (kind === undefined) return { descriptor, blob, members: [] }
    const bytes = await readDocument(descriptor, blob, documentLimits[kind])
    if (kind === 'index') {
      const index = parseIndex(bytes, descriptor.mediaType)
      return { descriptor, blob, index, members: await inOrder(index.manifests, gather) }
    }
    const manifest = parseManifest(bytes, descriptor.mediaType)
    return { descriptor, blob, manifest, members: await inOrder([...manifest.layers, manifest.config], gather) }
  }

  return await gather(root)
}

/** Every blob that is to be installed, what is referred to before what refers to it. */
export function blobsToInstall(roots: readonly Gathered[]): StagedBlob[] {
  const order = new Map<Digest, StagedBlob>()
  const visit = ({ members, blob }: Gathered): void => {
    for (const member of members) visit(member)
    if (blob?.staged !== undefined && !order.has(blob.staged.digest)) order.set(blob.staged.digest, blob.staged)
  }
  for (const root of roots) visit(root)
  return [...order.values()]
}

/** What is not there, itself included. An index with members that cannot be verified is never whole. */
export function missingFrom({ descriptor, blob, index, members }: Gathered): unknown[] {
  if (blob === undefined) return [descriptor]
  return [...(index?.unsupported ?? []), ...members.flatMap(missingFrom)]
}

async function obtain(
  descriptor: Descriptor,
  { source, blobs, isPresent }: GatherFrom,
): Promise<GatheredBlob | undefined> {
  const { digest, size } = descriptor
  if (await isPresent(digest, size)) return { path: blobs.path(digest), staged: undefined }
  const staged = await source.take(descriptor)
  return staged === undefined ? undefined : { path: staged.path, staged }
}

async function readDocument({ mediaType, size }: Descriptor, { path }: GatheredBlob, maxBytes: number) {
  if (size <= maxBytes) return await readFile(path)
  throw new Problem('LIMIT_EXCEEDED', `a document of type ${mediaType} has ${size} bytes; at most ${maxBytes} are read`)
}

async function inOrder<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (const item of items) results.push(await work(item))
  return results
}
