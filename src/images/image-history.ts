import type { ImageHistoryReply, ImageHistoryStep } from '../contract/index.ts'
import { type HistoryStep, type ImageConfig, layerHistory } from '../formats/index.ts'
import { findImage } from './find-image.ts'
import type { ImagesContext } from './images-context.ts'
import { isoTime } from './iso-time.ts'
import { readPlatform } from './resolve-image.ts'

/**
 * How this host's image came to be, the newest step first.
 *
 * @throws Problem IMAGE_NOT_FOUND, PLATFORM_NOT_FOUND when it has nothing for this host, RECORD_INVALID when it is damaged
 */
export async function imageHistory(context: ImagesContext, ref: string): Promise<ImageHistoryReply> {
  const { descriptor } = await findImage(context.blobs, ref)
  const { manifestDescriptor, manifest, config } = await readPlatform(context, descriptor)
  const { steps, complaint } = layerHistory(manifest, config)
  return {
    manifest_digest: manifestDescriptor.digest,
    history: steps.toReversed().map((step) => describeStep(step, config)),
    ...(complaint === undefined ? {} : { problem: complaint }),
  }
}

function describeStep({ entry, layer }: HistoryStep, { diffIds }: ImageConfig): ImageHistoryStep {
  const createdAt = isoTime(entry?.created)
  return {
    ...(layer === undefined ? {} : { layer: layer.number + 1, digest: layer.descriptor.digest }),
    ...(layer === undefined ? {} : { diff_id: diffIds[layer.number] }),
    size_bytes: layer?.descriptor.size ?? 0,
    ...(createdAt === undefined ? {} : { created_at: createdAt }),
    ...(entry?.created_by === undefined ? {} : { created_by: entry.created_by }),
    ...(entry?.author === undefined ? {} : { author: entry.author }),
    ...(entry?.comment === undefined ? {} : { comment: entry.comment }),
    empty_layer: entry?.empty_layer ?? false,
  }
}
