import { createReadStream } from 'node:fs'
import { open, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import {
  type Digest,
  DigestHasher,
  digestAlgorithm,
  digestHex,
  digestOf,
  Problem,
  printable,
  problemFromSystem,
  sha256Digest,
  shortDigest,
} from '../../base/index.ts'
import type { StagedBlob } from '../../blobs/index.ts'
import {
  type Descriptor,
  documentLimits,
  mediaTypes,
  parseImageConfig,
  parseJson,
  parseWith,
} from '../../formats/index.ts'
import { decompress, sniffCompression } from '../../host/index.ts'
import { maxExpandedBytes } from '../lowers/layer-limits.ts'
import { type ArchiveFile, type ArchiveFiles, normalized, readSmall, type TakeApart } from './archive-files.ts'
import type { LoadRoot, LoadSource } from './load-source.ts'
import { peek } from './peek.ts'

/** The manifest.json of `docker save`. Go writes null for an empty list. */
const DockerManifest = z.array(
  z.object({
    Config: z.string(),
    RepoTags: z.array(z.string()).nullish(),
    Layers: z.array(z.string()).nullish(),
  }),
)
type DockerImage = z.infer<typeof DockerManifest>[number]

/**
 * The images of a docker archive, as OCI images: the config as it is, the layers as plain tars under their diff_ids, and a manifest that is made
 * from nothing else, so that one docker archive always becomes the same image however its layers were compressed.
 *
 * @throws Problem IMAGE_INVALID, DIGEST_MISMATCH, BLOB_NOT_FOUND, LIMIT_EXCEEDED, COMPRESSION_INVALID, NO_SPACE, CANCELLED
 */
export async function dockerImages(archive: ArchiveFiles, request: TakeApart): Promise<LoadSource> {
  const manifestFile = archive.files.get('manifest.json')
  if (manifestFile === undefined) throw new Problem('IMAGE_INVALID', 'the docker archive has no manifest.json')
  const document = parseJson(await readSmall(manifestFile, 'manifest.json'), 'manifest.json')
  const staged = new Map<Digest, StagedBlob>(archive.blobs)
  const roots = new Map<Digest, LoadRoot>()
  for (const image of parseWith(DockerManifest, document, 'manifest.json')) {
    const descriptor = await convert(image, { archive, request, staged })
    const names = [...(roots.get(descriptor.digest)?.names ?? []), ...(image.RepoTags ?? [])]
    roots.set(descriptor.digest, { descriptor, names })
  }
  return { roots: [...roots.values()], take: async ({ digest }) => staged.get(digest) }
}

interface Conversion {
  readonly archive: ArchiveFiles
  readonly request: TakeApart
  readonly staged: Map<Digest, StagedBlob>
}

async function convert(image: DockerImage, work: Conversion): Promise<Descriptor> {
  const configFile = findFile(work.archive, image.Config, 'config')
  const config = await readSmall(configFile, 'the image config', documentLimits.config)
  checkConfigName(image.Config, configFile)
  const { diffIds } = parseImageConfig(config)
  const paths = image.Layers ?? []
  if (paths.length !== diffIds.length) {
    throw new Problem('IMAGE_INVALID', `the image has ${paths.length} layers and its config ${diffIds.length} diff_ids`)
  }
  const layers: StagedBlob[] = []
  for (const [i, diffId] of diffIds.entries()) layers.push(await takeLayer(paths[i] ?? '', diffId, work))
  work.staged.set(configFile.digest, { ...configFile })
  const manifest = manifestBytes(configFile, layers)
  const digest = digestOf(manifest)
  const path = `${work.request.staging}/manifest-${digestHex(digest)}`
  await writeFile(path, manifest)
  work.staged.set(digest, { digest, size: manifest.length, path })
  return { mediaType: mediaTypes.ociManifest, digest, size: manifest.length }
}

function manifestBytes(config: ArchiveFile, layers: readonly StagedBlob[]): Buffer {
  const member = (mediaType: string, { digest, size }: { digest: Digest; size: number }) => ({
    mediaType,
    digest,
    size,
  })
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: member(mediaTypes.ociConfig, config),
      layers: layers.map((layer) => member(mediaTypes.ociLayer, layer)),
    }),
  )
}

/** A layer as a plain tar, verified against its diff_id. */
async function takeLayer(path: string, diffId: Digest, { archive, request, staged }: Conversion): Promise<StagedBlob> {
  const known = staged.get(diffId)
  if (known !== undefined) return known
  const file = findFile(archive, path, 'layer')
  const blob = file.digest === diffId ? file : await decompressLayer(file, diffId, request)
  staged.set(diffId, blob)
  return blob
}

async function decompressLayer(file: ArchiveFile, diffId: Digest, { staging, signal }: TakeApart): Promise<StagedBlob> {
  const path = `${staging}/layer-${digestHex(diffId)}`
  const hasher = new DigestHasher(digestAlgorithm(diffId))
  const { head, all } = await peek(createReadStream(file.path, { highWaterMark: 2 ** 20 }), 4)
  try {
    await using out = await open(path, 'w', 0o600)
    for await (const chunk of decompress(all, {
      compression: sniffCompression(head),
      maxBytes: maxExpandedBytes(file.size),
    })) {
      signal?.throwIfAborted()
      hasher.update(chunk)
      await out.writeFile(chunk)
    }
  } catch (error) {
    if (signal?.aborted) throw new Problem('CANCELLED', 'cancelled', { cause: signal.reason })
    throw problemFromSystem(error, `decompress layer ${shortDigest(diffId)}`)
  }
  const actual = hasher.digest()
  if (actual === diffId) return { digest: diffId, size: hasher.bytes, path }
  throw new Problem('DIGEST_MISMATCH', `layer ${shortDigest(diffId)} is not what the image config says`, {
    hint: 'the archive is damaged or was tampered with: make it again',
    data: { expected: diffId, actual },
  })
}

/** Links are followed inside the archive; a file of one that is an OCI layout too is one of its blobs. */
function findFile({ files, links, blobs }: ArchiveFiles, name: string, noun: string): ArchiveFile {
  let path = normalized(name) ?? ''
  for (let hops = 0; hops < 16; hops++) {
    const found = files.get(path) ?? blobAt(blobs, path)
    if (found !== undefined) return found
    const target = links.get(path)
    if (target === undefined) break
    path = target
  }
  throw new Problem('BLOB_NOT_FOUND', printable(`the archive has no ${noun} ${name}, which its manifest.json lists`), {
    hint: 'the archive is incomplete: make it again',
  })
}

function blobAt(blobs: ReadonlyMap<Digest, StagedBlob>, path: string): ArchiveFile | undefined {
  const hex = /^blobs\/sha256\/([a-f0-9]{64})$/.exec(path)?.[1]
  return hex === undefined ? undefined : blobs.get(sha256Digest(hex))
}

/** Configs are named by their digest: `<hex>.json`, `sha256:<hex>`, `blobs/sha256/<hex>`. */
function checkConfigName(name: string, { digest }: ArchiveFile): void {
  const hex = /(?:^|[/:])([a-f0-9]{64})(?:\.json)?$/.exec(name)?.[1]
  if (hex === undefined || hex === digestHex(digest)) return
  throw new Problem('DIGEST_MISMATCH', `the image config ${hex.slice(0, 12)} is not what its name says`, {
    hint: 'the archive is damaged or was tampered with: make it again',
    data: { expected: `sha256:${hex}`, actual: digest },
  })
}
