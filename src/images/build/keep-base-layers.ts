import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, digestHex, digestOf } from '../../base/index.ts'
import {
  type Descriptor,
  documentLimits,
  type LayerCompression,
  layerCompression,
  mediaTypes,
  parseImageConfig,
  parseIndex,
  parseJsonObject,
  parseManifest,
} from '../../formats/index.ts'

/**
 * Gives the layers that a built image has from its bases the descriptors that they have there. buildah compresses every layer anew, so that a
 * base's layer would be in the store twice, and would be uploaded again with every push.
 *
 * @param directory a layout with one image, changed in place; blobs that are known are not put there
 * @param known layers of the bases, by diff_id
 */
export async function keepBaseLayers(directory: string, known: ReadonlyMap<Digest, Descriptor>): Promise<void> {
  const indexPath = join(directory, 'index.json')
  const index = parseJsonObject(await readFile(indexPath), { noun: 'index.json', maxBytes: documentLimits.index })
  const [member] = parseIndex(await readFile(indexPath)).manifests
  if (member === undefined) return
  const bytes = await readBlob(directory, member.digest)
  const { layers, config } = parseManifest(bytes, member.mediaType)
  const { diffIds } = parseImageConfig(await readBlob(directory, config.digest))
  const kept = layers.map((layer, i) => {
    const original = diffIds[i] === undefined ? undefined : known.get(diffIds[i])
    return original === undefined ? layer : asOciLayer(original)
  })
  if (kept.every(({ digest }, i) => digest === layers[i]?.digest)) return
  const rewritten = Buffer.from(JSON.stringify({ ...parseManifestObject(bytes), layers: kept }))
  const digest = digestOf(rewritten)
  await writeFile(blobPath(directory, digest), rewritten)
  const manifests = [{ mediaType: member.mediaType, digest, size: rewritten.length, annotations: member.annotations }]
  await writeFile(indexPath, JSON.stringify({ ...index, manifests }))
}

const ociTypes: Readonly<Record<LayerCompression, string>> = {
  none: mediaTypes.ociLayer,
  gzip: mediaTypes.ociLayerGzip,
  zstd: mediaTypes.ociLayerZstd,
}

/** In a manifest of OCI's, whatever family the base is of. */
function asOciLayer({ mediaType, digest, size }: Descriptor): Pick<Descriptor, 'mediaType' | 'digest' | 'size'> {
  const compression = layerCompression(mediaType)
  return { mediaType: compression === undefined ? mediaType : ociTypes[compression], digest, size }
}

function parseManifestObject(bytes: Buffer) {
  return parseJsonObject(bytes, { noun: 'the manifest', maxBytes: documentLimits.manifest })
}

function readBlob(directory: string, digest: Digest): Promise<Buffer> {
  return readFile(blobPath(directory, digest))
}

function blobPath(directory: string, digest: Digest): string {
  return join(directory, 'blobs/sha256', digestHex(digest))
}
