import { type Digest, isProblem, Problem } from '../../base/index.ts'
import { defaultTarLimits } from '../../formats/index.ts'
import { decompress, sniffCompression } from '../../host/index.ts'
import { type ArchiveFile, type ArchiveFiles, readSmall, type TakeApart, takeArchiveApart } from './archive-files.ts'
import { dockerImages } from './docker-archive.ts'
import { checkOciLayout, rootsOfIndex } from './layout-index.ts'
import type { LoadSource } from './load-source.ts'
import { abandon, peek } from './peek.ts'

/** Bytes of a decompressed archive at most: what the tar reader takes, and a little for headers. */
const maxArchiveBytes = defaultTarLimits.maxExpandedBytes + 2 ** 30

/**
 * Opens an image archive: OCI, or docker's, plain or compressed; one that is both counts as OCI. All of it is read, once.
 *
 * @throws Problem IMAGE_INVALID when it is neither, TAR_INVALID, COMPRESSION_INVALID, and what its documents or blobs deserve
 */
export async function openArchive(request: TakeApart): Promise<LoadSource> {
  const { head, all } = await peek(request.source, 8)
  const other = otherCompression(head)
  if (other !== undefined) {
    await abandon(all)
    throw other
  }
  const source = decompress(all, { compression: sniffCompression(head), maxBytes: maxArchiveBytes })
  const archive = await takeArchiveApart({ ...request, source })
  const oci = await ociSource(archive)
  return oci ?? (await dockerImages(archive, request))
}

/** Undefined when the archive is not a valid layout but may be a docker archive. */
async function ociSource(archive: ArchiveFiles): Promise<LoadSource | undefined> {
  const [layout, index] = [archive.files.get('oci-layout'), archive.files.get('index.json')]
  const isDockerToo = archive.files.has('manifest.json')
  if (layout === undefined || index === undefined) {
    if (isDockerToo) return undefined
    throw notAnArchive(layout, index)
  }
  try {
    checkOciLayout(await readSmall(layout, 'oci-layout'))
    const roots = rootsOfIndex(await readSmall(index, 'index.json'))
    if (roots.length === 0 && isDockerToo) return undefined
    return { roots, take: async (descriptor) => stagedBlob(archive, descriptor.digest, descriptor.size) }
  } catch (error) {
    if (isProblem(error, 'IMAGE_INVALID') && isDockerToo) return undefined
    throw error
  }
}

function stagedBlob({ blobs }: ArchiveFiles, digest: Digest, size: number) {
  const blob = blobs.get(digest)
  if (blob === undefined || blob.size === size) return blob
  throw new Problem('SIZE_MISMATCH', `blob ${digest} has ${blob.size} bytes; its descriptor says ${size}`, {
    data: { digest, size },
  })
}

function notAnArchive(layout: ArchiveFile | undefined, index: ArchiveFile | undefined): Problem {
  const missing =
    layout === undefined && index === undefined ? 'no index.json and no manifest.json' : 'only half of a layout'
  return new Problem('IMAGE_INVALID', `this is no image archive: there is ${missing} in it`, {
    hint: 'archives are made by: skopeo copy … oci-archive:FILE, docker save, podman save, cowshed image save',
  })
}

const otherCompressions: readonly (readonly [name: string, magic: Buffer])[] = [
  ['xz', Buffer.from('fd377a585a00', 'hex')],
  ['bzip2', Buffer.from('425a68', 'hex')],
]

function otherCompression(head: Buffer): Problem | undefined {
  const found = otherCompressions.find(([, magic]) => head.subarray(0, magic.length).equals(magic))
  if (found === undefined) return undefined
  const [name] = found
  return new Problem('IMAGE_UNSUPPORTED', `the archive is compressed with ${name}; gzip and zstd are supported`, {
    hint: `decompress it first: ${name} -d FILE`,
  })
}
