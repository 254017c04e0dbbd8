import { Problem, printable } from '../../base/index.ts'
import {
  checkImageManifest,
  type Descriptor,
  documentKind,
  documentLimits,
  type Manifest,
  type Platform,
  parseIndex,
  parseManifest,
  plainErofs,
  selectPlatform,
} from '../../formats/index.ts'
import type { RemoteManifest, Repository } from '../../wires/index.ts'
import type { LongWork } from '../long-work.ts'

/** The documents of one platform's image, as a registry has them. */
export interface RemoteImage {
  /** From what was asked for to the manifest: one, or an index before it. */
  readonly documents: readonly RemoteManifest[]
  readonly manifest: Manifest
}

export interface ReadRemoteImage extends Pick<LongWork, 'signal'> {
  readonly repository: Pick<Repository, 'readManifest'>
  /** What the reference stands for: from here on it is asked for by digest, whatever becomes of the tag. */
  readonly root: Descriptor
  readonly platform: Platform
}

/** Indexes in indexes are followed this far. */
const maxDepth = 4

/**
 * Reads a manifest, by way of the indexes above it.
 *
 * @throws Problem PLATFORM_NOT_FOUND, IMAGE_INVALID, IMAGE_UNSUPPORTED, SIZE_MISMATCH, LIMIT_EXCEEDED, and what the registry's client throws
 */
export async function readRemoteImage(request: ReadRemoteImage): Promise<RemoteImage> {
  return await readImageAt(request, await findRemoteManifest(request))
}

/** The same for what need not be a container image: nothing that the manifest says is looked at. @throws Problem as readRemoteImage does */
export async function readRemoteManifest(request: ReadRemoteImage): Promise<RemoteImage> {
  return await readManifestAt(request, await findRemoteManifest(request))
}

/** Where the manifest of one platform is, which is not read yet. */
export interface ManifestPlace {
  /** From what was asked for down to the one that names it; none when it was asked for itself. */
  readonly indexes: readonly RemoteManifest[]
  readonly descriptor: Descriptor
}

/** Reads the indexes above a manifest, and not the manifest. @throws Problem as readRemoteImage does */
export async function findRemoteManifest(request: ReadRemoteImage): Promise<ManifestPlace> {
  const { repository, root, platform, signal } = request
  const indexes: RemoteManifest[] = []
  let wanted = root
  while (documentKind(wanted.mediaType) === 'index') {
    const document = await readDocument(repository, wanted, signal)
    indexes.push(document)
    if (indexes.length > maxDepth) {
      throw new Problem('IMAGE_INVALID', `its indexes are nested more than ${maxDepth} deep`)
    }
    wanted = selectPlatform(parseIndex(document.bytes, document.descriptor.mediaType), platform)
  }
  return { indexes, descriptor: wanted }
}

/** The image whose manifest was found. @throws Problem as readRemoteImage does */
export async function readImageAt(request: ReadRemoteImage, place: ManifestPlace): Promise<RemoteImage> {
  const remote = await readManifestAt(request, place)
  checkImage(remote.manifest)
  return remote
}

async function readManifestAt(
  { repository, signal }: ReadRemoteImage,
  { indexes, descriptor }: ManifestPlace,
): Promise<RemoteImage> {
  if (documentKind(descriptor.mediaType) !== 'manifest') throw notAnImage(descriptor)
  const document = await readDocument(repository, descriptor, signal)
  return { documents: [...indexes, document], manifest: parseManifest(document.bytes, descriptor.mediaType) }
}

/** It must be what its descriptor says in every respect: one document must not be read as two things (CVE-2021-41190). */
async function readDocument(
  repository: ReadRemoteImage['repository'],
  wanted: Descriptor,
  signal: AbortSignal | undefined,
): Promise<RemoteManifest> {
  const { descriptor, bytes } = await repository.readManifest(wanted.digest, { signal })
  if (descriptor.size !== wanted.size) {
    throw new Problem('SIZE_MISMATCH', `${wanted.digest} should have ${wanted.size} bytes and has ${descriptor.size}`)
  }
  if (descriptor.mediaType !== wanted.mediaType) {
    const types = `${printable(wanted.mediaType)}, but the registry sends it as ${printable(descriptor.mediaType)}`
    throw new Problem('IMAGE_INVALID', `${wanted.digest} is said to be ${types}`)
  }
  // With its platform, which only what leads to it knows.
  return { descriptor: wanted, bytes }
}

function checkImage(manifest: Manifest): void {
  if (plainErofs(manifest) !== undefined) {
    throw new Problem('IMAGE_UNSUPPORTED', 'this is one erofs image without a chunk index, which no pull brings', {
      hint: 'sheds can be made of it, and nothing of it is verified before all of it is here: cowshed create NAME --pull lazy --image REF',
    })
  }
  checkImageManifest(manifest)
  const { size } = manifest.config
  if (size > documentLimits.config) {
    throw new Problem('LIMIT_EXCEEDED', `the image config has ${size} bytes; at most ${documentLimits.config} are read`)
  }
}

function notAnImage({ mediaType }: Descriptor): Problem {
  return new Problem('IMAGE_UNSUPPORTED', `this is no container image: ${printable(mediaType)}`)
}
