import type { Digest } from '../../base/index.ts'
import { type Descriptor, plainErofs } from '../../formats/index.ts'
import { readRemoteManifest } from '../pull/read-remote-image.ts'
import type { RemoteName } from '../remote-name.ts'
import { remoteName } from '../remote-name.ts'
import type { FindPublishedRootfs } from './find-published-rootfs.ts'

/** A lower that somebody has pushed as one erofs image, with nothing that says what its parts must be. */
export interface PlainLower {
  readonly name: RemoteName
  /** What the reference stands for. */
  readonly publishedAs: Digest
  readonly manifest: Digest
  readonly blob: Descriptor
}

/** Looks in a registry for the one erofs image that is all of an image. @returns undefined when there is none @throws Problem as reading it and the registry's client do */
export async function findPlainLower(request: Omit<FindPublishedRootfs, 'profiles'>): Promise<PlainLower | undefined> {
  const { registries, ref, platform, insecure, signal } = request
  const name = remoteName(ref)
  const repository = registries.repository(name.repository, { plainHttp: insecure || undefined })
  const root = await repository.resolve(name.reference, { signal })
  const { manifest, documents } = await readRemoteManifest({ repository, root, platform, signal })
  const blob = plainErofs(manifest)
  if (blob === undefined || blob.size === 0) return undefined
  return { name, blob, publishedAs: root.digest, manifest: documents.at(-1)?.descriptor.digest ?? root.digest }
}
