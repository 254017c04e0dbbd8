import { createReadStream } from 'node:fs'
import { type Digest, isProblem, Problem, printable, shortDigest } from '../../base/index.ts'
import { type Descriptor, documentLimits } from '../../formats/index.ts'
import { formatRepository, type Repository, type RepositoryName } from '../../wires/index.ts'
import { findImage, storedImages } from '../find-image.ts'
import { readImageGraph } from '../image-graph.ts'
import type { ImagesContext } from '../images-context.ts'
import type { LongWork } from '../long-work.ts'
import { forEachAtOnce } from '../lowers/for-each-at-once.ts'
import { type Sent, sendBlob } from '../publish/send-blob.ts'
import { type RemoteName, remoteName } from '../remote-name.ts'
import { withTags } from '../tag-image.ts'
import { type PushPlan, planPush } from './push-plan.ts'

export interface PushRequest extends LongWork {
  readonly ref: string
  /** What it will be called there; by its own name unless told. */
  readonly destination?: string | undefined
  /** Plain http. */
  readonly insecure?: boolean | undefined
}

export interface PushedImage {
  /** In full, with its tag or digest: `registry.example/team/app:v1`. */
  readonly destination: string
  /** The same there as here. */
  readonly digest: Digest
  readonly uploaded: BlobCount
  /** Taken over from another repository of that registry: not sent. */
  readonly mounted: BlobCount
  /** There already. */
  readonly present: BlobCount
}

export interface BlobCount {
  readonly blobs: number
  readonly bytes: number
}

/** Blobs on their way at the same time. */
const atOnce = 4
const readBytes = 256 * 1024

/**
 * Sends an image to a registry, byte for byte: blobs first, then manifests, then the tag. Whatever is cut off leaves only blobs there that nobody
 * refers to, and the next push finds them.
 *
 * @throws Problem IMAGE_NOT_FOUND, INVALID_REQUEST, IMAGE_INCOMPLETE (before anything was sent), DIGEST_MISMATCH, CANCELLED, and what the
 *   registry's client throws
 */
export async function pushImage(context: ImagesContext, request: PushRequest): Promise<PushedImage> {
  const image = await findImage(context.blobs, request.ref)
  const { descriptor } = image
  const name = destinationOf(request, image)
  using lease = context.leases.openBlobLease()
  const plan = await planPush(context, { root: descriptor, name: request.ref, lease })
  const repository = context.registries.repository(name.repository, { plainHttp: request.insecure || undefined })
  const counts = await sendBlobs(context, { ...request, plan, repository })
  await sendDocuments(context, { ...request, plan, repository, reference: name.reference })
  await rememberRepository(context, descriptor, name.repository)
  const separator = name.digest === undefined ? ':' : '@'
  const destination = `${formatRepository(name.repository)}${separator}${name.reference}`
  return { destination, digest: descriptor.digest, ...counts }
}

function destinationOf({ ref, destination }: PushRequest, image: { descriptor: Descriptor; tag: string | undefined }) {
  const text = destination ?? image.tag
  if (text === undefined) {
    throw new Problem('INVALID_REQUEST', `${printable(ref)} is a digest: it does not say where to push`, {
      hint: `say where: cowshed image push ${printable(ref)} REGISTRY/NAME:TAG`,
    })
  }
  const name: RemoteName = remoteName(text)
  if (name.digest === undefined || name.digest === image.descriptor.digest) return name
  throw new Problem(
    'INVALID_REQUEST',
    `the image is ${image.descriptor.digest}, and cannot be pushed as another digest`,
  )
}

interface Send extends LongWork {
  readonly plan: PushPlan
  readonly repository: Repository
}

async function sendBlobs(context: ImagesContext, { plan, repository, onProgress, signal }: Send) {
  const elsewhere = await repositoriesOf(context, repository.name)
  const counts: Record<Sent, BlobCount> = { uploaded: noBlobs, mounted: noBlobs, present: noBlobs }
  const ended = new AbortController()
  const to = {
    repository,
    onProgress,
    signal: AbortSignal.any([ended.signal, ...(signal === undefined ? [] : [signal])]),
  }
  const tell = ({ digest, size }: Descriptor, done: number) =>
    onProgress?.({ phase: 'push', item: shortDigest(digest), done, total: size })
  for (const blob of plan.blobs) tell(blob, 0)
  await forEachAtOnce(plan.blobs, atOnce, async (blob) => {
    const { digest, size } = blob
    const open = (from: number) =>
      createReadStream(context.blobs.path(digest), { start: from, highWaterMark: readBytes })
    try {
      const how = await sendBlob(to, { digest, size, open, mountFrom: elsewhere.get(digest) ?? [] })
      counts[how] = { blobs: counts[how].blobs + 1, bytes: counts[how].bytes + size }
      tell(blob, size)
    } catch (error) {
      ended.abort(error)
      throw error
    }
  })
  return counts
}

const noBlobs: BlobCount = { blobs: 0, bytes: 0 }
/** Each repository that does not have a blob any more costs a question. */
const mostQuestions = 2

/** Which other repositories of a registry have which blobs, as far as the store knows from having pulled from there or pushed to it. */
async function repositoriesOf(
  { blobs }: ImagesContext,
  { registry, path }: RepositoryName,
): Promise<Map<Digest, RepositoryName[]>> {
  const found = new Map<Digest, RepositoryName[]>()
  for (const { descriptor, origin } of storedImages((await blobs.readIndex()).entries)) {
    const others = origin.repositories.filter((name) => name.registry === registry && name.path !== path)
    if (others.length === 0) continue
    const graph = await readImageGraph(blobs, descriptor).catch(unlessDamaged)
    for (const digest of graph?.blobs.keys() ?? []) {
      found.set(digest, [...(found.get(digest) ?? []), ...others].slice(0, mostQuestions))
    }
  }
  return found
}

/** What cannot be read is uploaded. */
function unlessDamaged(error: unknown): undefined {
  if (!isProblem(error)) throw error
}

/** Each by its digest; the image itself by its tag when it gets one, so that the tag appears when all is there. */
async function sendDocuments(
  { blobs }: ImagesContext,
  { plan, repository, reference, signal }: Send & { readonly reference: string },
): Promise<void> {
  for (const [at, { digest, mediaType }] of plan.documents.entries()) {
    const bytes = await blobs.readBytes(digest, documentLimits.index)
    const last = at === plan.documents.length - 1
    const there = await repository.writeManifest({ reference: last ? reference : digest, mediaType, bytes, signal })
    if (there !== digest) {
      throw new Problem('DIGEST_MISMATCH', `the registry took ${digest} for ${there}`, { data: { digest, there } })
    }
  }
}

async function rememberRepository(
  { blobs, leases }: ImagesContext,
  descriptor: Descriptor,
  repository: RepositoryName,
): Promise<void> {
  await leases.removal(() =>
    blobs.updateIndex((index) => {
      const isListed = index.entries.some((entry) => entry.descriptor?.digest === descriptor.digest)
      // One platform of an index, or removed meanwhile.
      if (!isListed) return index
      return { ...index, entries: withTags(index.entries, descriptor, [], { indexes: [], repositories: [repository] }) }
    }),
  )
}
