import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { link, mkdir, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type DataLayout, type Digest, Problem, problemFromSystem, shortDigest } from '../../base/index.ts'
import { installFile, openStaging, syncDirectory } from '../../host/index.ts'
import type { GraphManifest } from '../image-graph.ts'
import { type ImageLayer, imageIncomplete, imageLayers, lostLayers } from '../image-layers.ts'
import type { ImagesContext } from '../images-context.ts'
import { findLower, type Lower } from '../lowers/ensure-lower.ts'
import { lowerKinds } from '../lowers/lower-kind.ts'
import { lowerUuid } from '../lowers/lower-uuid.ts'
import { cachedLayer } from '../lowers/write-bootstrap.ts'
import { lowerComplaint } from '../verify/built-lowers.ts'
import { bytesOf } from '../verify/cached-layers.ts'
import { proveLayers } from '../verify/prove-layers.ts'
import { findKeptLower } from './find-kept-lower.ts'
import { readKeptDigest } from './kept-digest.ts'
import { keptFiles } from './kept-files.ts'

/**
 * Gives the lower of a manifest a second name, outside of the cache, after it was held against its layers, byte for byte: once they are gone nothing
 * else could tell that it is right. The first name stays until the cache is evicted: a shed that is just starting has it in hand. One in parts is put together
 * first: its data would go with the layers.
 *
 * @throws Problem EROFS_INVALID when it is not what its layers give; IMAGE_INCOMPLETE when some of them are not here to tell; what unpacking and building throw
 */
export async function keepLower(
  context: ImagesContext,
  { descriptor, manifest, config }: GraphManifest,
): Promise<void> {
  if (config === undefined) return
  const { layout, blobs, leases } = context
  const { digest } = descriptor
  using _ = leases.holdImage(digest)
  await leases.settled()
  const layers = imageLayers(blobs, { manifest, config })
  const kept = findKeptLower(layout, digest)
  const profile = (kept ?? findLower(layout, digest, lowerKinds))?.kind.profile ?? 'plain'
  const [lost] = await lostLayers(context, layers, profile)
  if (lost !== undefined && kept === undefined) throw imageIncomplete(shortDigest(digest), lost.digest)
  if (lost === undefined) await proveLayers(context, { layers, profile })
  const kind = { profile, form: 'whole' as const }
  const lower = kept ?? (await context.ensureLower({ layout, manifest: digest, layers, kind }))
  const complaint = await complaintOf(context, { digest, lower, layers: lost === undefined ? layers : undefined })
  if (complaint !== undefined) throw notOfItsLayers(digest, complaint)
  if (kept !== undefined) return
  const sha256 = await sha256Of(lower.path)
  await leases.removal(() => linkLower(layout, { manifest: digest, path: lower.path, sha256 }))
}

interface Candidate {
  readonly digest: Digest
  readonly lower: Lower
  /** When they are here. */
  readonly layers: readonly ImageLayer[] | undefined
}

/** Against its layers; when some are lost, against what it was published as. */
async function complaintOf(context: ImagesContext, { digest, lower, layers }: Candidate): Promise<string | undefined> {
  const { layout } = context
  const { path, kind, bytes } = lower
  const isKept = path === layout.keptLower(digest)
  const chunks = layout.keptLowerChunks(digest)
  const built = {
    ...{ manifest: digest, path, kind, bytes },
    uuid: isKept ? undefined : lowerUuid(kind, digest),
    parts: layers?.map(({ diffId }) => cachedLayer(layout, diffId, kind.profile)),
    chunks: isKept && (await bytesOf(chunks)) !== undefined ? chunks : undefined,
    digest: isKept ? await readKeptDigest(layout, digest) : undefined,
  }
  return await lowerComplaint(context, built, { comparable: layers !== undefined, onBytes: () => {} })
}

/** In hex. */
async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>)
      hash.update(piece)
  } catch (error) {
    throw problemFromSystem(error, `read ${path}`)
  }
  return hash.digest('hex')
}

interface ProvenLower {
  readonly manifest: Digest
  readonly path: string
  readonly sha256: string
}

function notOfItsLayers(manifest: Digest, complaint: string): Problem {
  const hint = 'cowshed image verify --repair'
  const message = `the lower of ${shortDigest(manifest)} is not what its layers give: ${complaint}; they are kept until it is mended: ${hint}`
  return new Problem('EROFS_INVALID', message, { hint, data: { manifest } })
}

/** One after another with those who bring a lower that was published: what has come into its place meanwhile is not proven, and goes. */
async function linkLower(layout: DataLayout, { manifest, path, sha256 }: ProvenLower): Promise<void> {
  const to = layout.keptLower(manifest)
  try {
    await using staging = await openStaging(layout, 'keep')
    const note = join(staging.path, 'sha256')
    await writeFile(note, `${sha256}  ${basename(to)}\n`)
    await mkdir(layout.keptLowers, { recursive: true })
    // What may lie there is of no use, and a pull that was stopped may have left word of another lower, which this one must not be taken for.
    for (const file of keptFiles(layout, manifest)) await rm(file.path, { force: true })
    await installFile({ from: note, to: layout.keptLowerDigest(manifest), mode: 0o444 })
    await link(path, to)
    await syncDirectory(layout.keptLowers)
  } catch (error) {
    throw problemFromSystem(error, `keep the lower ${to}`)
  }
}
