import { type Digest, isProblem, Problem, shortDigest } from '../base/index.ts'
import { plainErofs } from '../formats/index.ts'
import { buildWithRoom } from './cache/build-with-room.ts'
import { derivedFiles } from './cache/derived-files.ts'
import { noteUse } from './cache/note-use.ts'
import { findManifest } from './find-manifest.ts'
import { imageConfigOf } from './image-config.ts'
import { readManifestAndConfig } from './image-graph.ts'
import { type ImageLayer, imageIncomplete, imageLayers, lostLayers } from './image-layers.ts'
import type { ImagesContext } from './images-context.ts'
import { findKeptLower } from './kept/find-kept-lower.ts'
import { settleKeptLower } from './kept/settle-kept-lower.ts'
import type { LongWork } from './long-work.ts'
import { findLower, type Lower } from './lowers/ensure-lower.ts'
import type { LowerKind } from './lowers/lower-kind.ts'

/**
 * The lower of a manifest that is in the store: any that is there and that guests can use, before one is built (docs/decisions/0035-lower-profiles.md). The caller holds the image for as long as the lower must stay.
 *
 * One that came without the layers is used as long as they are not here: what the layers give comes first, because it needs nobody's word.
 *
 * @throws Problem RECORD_INVALID when the manifest or its config cannot be read, IMAGE_INCOMPLETE when layers are missing, and whatever
 *   building throws
 */
export async function ensureImageLower(context: ImagesContext, manifest: Digest, work: LongWork): Promise<Lower> {
  const { layout } = context
  // An eviction that began before the caller held the image may still take the lower away.
  await context.leases.settled()
  // A lower that is there needs nothing else: sheds start even when a blob of their image was lost.
  const kinds = await context.lowerKinds()
  const present = findLower(layout, manifest, kinds)
  if (present !== undefined) {
    await noteUse([present, ...present.parts])
    return present
  }
  const toBuild = await buildableOrKept(context, manifest, kinds)
  if ('path' in toBuild) return toBuild
  const { layers } = toBuild
  const built = await buildWithRoom(context, {
    ...work,
    manifest,
    layerBytes: layers.reduce((sum, { size }) => sum + size, 0),
    build: () => context.ensureLower({ layout, manifest, ...toBuild, ...work }),
  })
  await noteUse(layers.flatMap(({ diffId }) => derivedFiles(layout, 'layer', diffId)))
  await context.keeper?.grown({ why: 'a lower was built', manifests: [manifest], ...work })
  const warning = await settleKeptLower(layout, manifest, built)
  return warning === undefined ? built : { ...built, warnings: [...built.warnings, warning] }
}

interface Buildable {
  readonly layers: readonly ImageLayer[]
  readonly kind: LowerKind
}

/** What to build, or else the lower that came without the layers. */
async function buildableOrKept(
  context: ImagesContext,
  manifest: Digest,
  kinds: readonly LowerKind[],
): Promise<Buildable | Lower> {
  const kept = findKeptLower(context.layout, manifest)
  try {
    // One of the same kind can be held against what was kept, which sheds may have open.
    return await buildable(context, manifest, kept === undefined ? kinds : [kept.kind])
  } catch (error) {
    if (!isProblem(error) || kept === undefined) throw error
    return kept
  }
}

/** The layers of a manifest, all of which can be had, and the first kind of lower for which that is so. */
export async function buildable(
  context: ImagesContext,
  manifest: Digest,
  kinds: readonly LowerKind[],
): Promise<Buildable> {
  const { blobs } = context
  const read = await readManifestAndConfig(blobs, await findManifest(blobs, manifest, 'the shed needs'))
  if (plainErofs(read.manifest) !== undefined) throw onlyLazily(manifest)
  const config = imageConfigOf(read.manifest, read.config)
  const layers = imageLayers(blobs, { manifest: read.manifest, config })
  let missing: ImageLayer | undefined
  for (const kind of kinds) {
    const [lost] = await lostLayers(context, layers, kind.profile)
    if (lost === undefined) return { layers, kind }
    missing ??= lost
  }
  throw imageIncomplete(manifest, missing?.digest ?? manifest)
}

/** Nothing can make it again but its registry, and no pull brings it. */
function onlyLazily(manifest: Digest): Problem {
  return new Problem('IMAGE_INCOMPLETE', `image ${shortDigest(manifest)} is one erofs image, and is not all here`, {
    hint: 'have it fetched as it is read, which brings all of it: cowshed create NAME --pull lazy --image REF',
    data: { digest: manifest },
  })
}
