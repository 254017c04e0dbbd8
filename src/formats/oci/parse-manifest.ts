import { z } from 'zod'
import { Problem } from '../../base/index.ts'
import { checkDocument } from './check-document.ts'
import { Annotations, Descriptor, nullish } from './descriptor.ts'
import { documentLimits, parseJsonObject, parseWith } from './json-document.ts'
import { isImageConfig, layerCompression, mediaTypes } from './media-types.ts'

/** Layers of an image at most. Docker stops at 127; nothing here costs more with more, so this only bounds what a hostile image may ask: docs/limits.md. */
export const maxLayers = 1024

const ManifestDocument = z.object({
  config: Descriptor,
  layers: nullish(z.array(Descriptor)),
  annotations: nullish(Annotations),
  artifactType: nullish(z.string()),
  subject: nullish(Descriptor),
})

/** One image of one platform, or an artifact that uses the same form. @see image-spec manifest.md */
export interface Manifest {
  readonly mediaType: string
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly annotations?: Annotations | undefined
  readonly artifactType?: string | undefined
  readonly subject?: Descriptor | undefined
}

/**
 * The manifest that bytes hold, as its descriptor's media type says. The bytes must have been verified against the descriptor's digest
 * before; they are never written again from the value.
 *
 * @throws Problem IMAGE_INVALID, IMAGE_UNSUPPORTED (schema 1, digests of an unknown algorithm), LIMIT_EXCEEDED
 */
export function parseManifest(bytes: Uint8Array, mediaType: string = mediaTypes.ociManifest): Manifest {
  const document = parseJsonObject(bytes, { noun: 'the manifest', maxBytes: documentLimits.manifest })
  checkDocument(document, 'manifest', mediaType)
  const { layers = [], ...rest } = parseWith(ManifestDocument, document, 'the manifest')
  if (layers.length > maxLayers) {
    throw new Problem('LIMIT_EXCEEDED', `the image has ${layers.length} layers; at most ${maxLayers} are accepted`, {
      hint: 'squash some of its layers',
    })
  }
  return { mediaType, layers, ...rest }
}

/**
 * Refuses manifests that are no container images (charts, signatures, encrypted layers).
 *
 * @throws Problem IMAGE_UNSUPPORTED
 */
export function checkImageManifest(manifest: Manifest): void {
  if (!isImageConfig(manifest.config.mediaType)) {
    throw new Problem('IMAGE_UNSUPPORTED', `this is no container image: its config is ${manifest.config.mediaType}`)
  }
  for (const layer of manifest.layers) {
    if (layerCompression(layer.mediaType) === undefined) {
      throw new Problem('IMAGE_UNSUPPORTED', `layers of type ${layer.mediaType} are not supported`, {
        hint: 'layers may be plain, gzip- or zstd-compressed tar archives, not encrypted',
      })
    }
  }
}
