import { documentLimits } from '../formats/index.ts'
import { findImage } from './find-image.ts'
import type { ImagesContext } from './images-context.ts'
import { readPlatform } from './resolve-image.ts'

/**
 * `root` is the manifest or index that a reference stands for; `config` the image config of this host's platform.
 */
export type ImageDocument = 'root' | 'config'

/**
 * A document of an image, byte for byte as it is stored, verified against its digest.
 *
 * @throws Problem IMAGE_NOT_FOUND, BLOB_NOT_FOUND, DIGEST_MISMATCH; of a config also PLATFORM_NOT_FOUND, RECORD_INVALID
 */
export async function imageDocument(context: ImagesContext, ref: string, which: ImageDocument): Promise<Buffer> {
  const { descriptor } = await findImage(context.blobs, ref)
  if (which === 'root') return await context.blobs.readBytes(descriptor.digest, documentLimits.index)
  const { manifest } = await readPlatform(context, descriptor)
  return await context.blobs.readBytes(manifest.config.digest, documentLimits.config)
}
