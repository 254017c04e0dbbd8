import { isAbsolute } from 'node:path'
import { Problem, shortDigest } from '../../base/index.ts'
import { formatPlatform, parsePlatform } from '../../formats/index.ts'
import type { BuildRequest } from '../../images/index.ts'
import type { Call, Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

type ImageHandlers = Pick<
  Handlers,
  | 'listImages'
  | 'inspectImage'
  | 'imageHistory'
  | 'readImageDocument'
  | 'removeImage'
  | 'tagImage'
  | 'pinImage'
  | 'unpinImage'
  | 'pullImage'
  | 'pushImage'
  | 'publishImage'
  | 'publishTraces'
  | 'loadImage'
  | 'buildImage'
  | 'verifyImages'
  | 'saveImage'
  | 'downloadImage'
>

export function imageRoutes({
  images,
  lazyImages,
  events,
}: Pick<Rooms, 'images' | 'lazyImages' | 'events'>): ImageHandlers {
  const pin = async (ref: string, pinned: boolean) => {
    if (!(await images.pin(ref, pinned))) return
    const [type, what] = pinned
      ? (['image.pinned', 'pinned'] as const)
      : (['image.unpinned', 'pinned no more'] as const)
    events.append({ type, subject: ref, message: `image ${ref} is ${what}` })
  }
  return {
    listImages: async () => ({ images: await images.list() }),
    async inspectImage({ query }) {
      const image = await images.inspect(query.ref)
      const lazy = (await lazyImages()).filter(({ manifest_digest }) => manifest_digest === image.manifest_digest)
      return { ...image, ...(lazy.length > 0 && { lazy }) }
    },
    imageHistory: ({ query }) => images.history(query.ref),
    async readImageDocument({ query: { ref, which } }) {
      const bytes = await images.document(ref, which)
      return { source: oneChunk(bytes), sizeBytes: bytes.length }
    },
    async removeImage({ query: { ref, force } }) {
      const reply = await images.remove(ref, { force })
      const message = `untagged ${reply.untagged.join(', ') || 'nothing'}, deleted ${reply.deleted.length} blobs`
      events.append({ type: 'image.removed', subject: ref, message })
      return reply
    },
    async tagImage({ body: { ref, tag } }) {
      await images.tag(ref, tag)
      events.append({ type: 'image.tagged', subject: tag, message: `${tag} is ${ref}` })
    },
    pinImage: ({ body }) => pin(body.ref, true),
    unpinImage: ({ body }) => pin(body.ref, false),
    async pullImage({ body, onProgress, signal }) {
      const platform = body.platform === undefined ? undefined : parsePlatform(body.platform)
      const { ref, insecure, with_layers: withLayers } = body
      const { image, outcome } = await images.pull({ ref, platform, insecure, withLayers, onProgress, signal })
      if (outcome === 'pulled') {
        events.append({
          type: 'image.pulled',
          subject: ref,
          message: `${ref} is pulled`,
          data: { digest: image.digest },
        })
      }
      return { image, outcome }
    },
    async pushImage({ body, onProgress, signal }) {
      const { destination, digest, ...counts } = await images.push({ ...body, onProgress, signal })
      const message = `${body.ref} is pushed to ${destination}`
      events.append({ type: 'image.pushed', subject: body.ref, message, data: { destination, digest } })
      return { destination, digest, ...counts }
    },
    async publishImage({ body, onProgress, signal }) {
      const platform = body.platform === undefined ? undefined : parsePlatform(body.platform)
      const traces = body.traces.map(absolute)
      const published = await images.publish({ ...body, platform, traces, onProgress, signal })
      const { destination, digest } = published
      const message = `${body.ref} is published as ${destination}`
      events.append({ type: 'image.published', subject: body.ref, message, data: { destination, digest } })
      return {
        destination,
        digest,
        manifest_digest: published.manifestDigest,
        rootfs_digest: published.rootfsDigest,
        platform: formatPlatform(published.platform),
        profile: published.profile,
        other_platforms: published.otherPlatforms.map(formatPlatform),
        lower_bytes: published.lowerBytes,
        rootfs_bytes: published.rootfsBytes,
        traces: [...published.traces],
        uploaded_bytes: published.uploadedBytes,
        blobs: { ...published.blobs },
      }
    },
    async publishTraces({ body, onProgress, signal }) {
      const platform = body.platform === undefined ? undefined : parsePlatform(body.platform)
      const traces = body.traces.map(absolute)
      const published = await images.publishTraces({ ...body, platform, traces, onProgress, signal })
      const { destination, digest, outcome } = published
      if (outcome === 'published') {
        const message = `${destination} has the boot traces ${published.traces.join(', ')}`
        events.append({ type: 'image.traced', subject: body.ref, message, data: { destination, digest } })
      }
      return {
        ...{ destination, digest, outcome },
        rootfs_digest: published.rootfsDigest,
        traces: [...published.traces],
      }
    },
    async loadImage(call) {
      const { onProgress, signal } = call
      const loaded = await images.load({ ...whatToLoad(call), onProgress, signal })
      for (const { digest, tags } of loaded) {
        events.append({
          type: 'image.loaded',
          subject: tags[0] ?? digest,
          message: `${tags.join(', ') || digest} is loaded`,
        })
      }
      return { images: loaded }
    },
    async buildImage({ body, onProgress, signal }) {
      const built = await images.build({ ...whatToBuild(body), onProgress, signal })
      for (const { digest, tags } of built) {
        const name = tags[0] ?? digest
        events.append({ type: 'image.built', subject: name, message: `${name} is built of ${body.context}` })
      }
      return { images: built }
    },
    async verifyImages({ body: { refs, repair }, onProgress, signal }) {
      const reply = await images.verify({ refs, repair, onProgress, signal })
      for (const { kind, digest, images: names, message, repaired } of reply.findings) {
        const what = `${kind} ${shortDigest(digest)} of ${names.join(', ')}`
        const type = repaired ? 'image.repaired' : 'image.damaged'
        events.append({ type, subject: names[0] ?? digest, message: `${what}: ${message}` })
      }
      return reply
    },
    async saveImage({ body: { refs, path }, onProgress, signal }) {
      return { path, bytes: await images.saveTo({ refs, path: absolute(path), onProgress, signal }) }
    },
    async downloadImage({ query }) {
      const archive = await images.archive(query.ref)
      return { source: archive, sizeBytes: archive.bytes }
    },
  }
}

function whatToLoad({ query, body, upload }: Call<'loadImage'>) {
  if (upload !== undefined) return { source: { stream: upload }, tag: query.tag }
  if (body === undefined) throw new Problem('INVALID_REQUEST', 'give a path as JSON or an archive as the body')
  return { source: { path: absolute(body.path) }, tag: body.tag ?? query.tag }
}

function whatToBuild({ context, dockerfile, ...body }: Call<'buildImage'>['body']): BuildRequest {
  return {
    context: absolute(context),
    dockerfile: dockerfile === undefined ? undefined : absolute(dockerfile),
    tag: body.tag,
    buildArgs: body.build_args,
    target: body.target,
    platform: body.platform,
    sourceDateEpoch: body.source_date_epoch,
    noCache: body.no_cache,
  }
}

async function* oneChunk(bytes: Buffer): AsyncIterable<Buffer> {
  yield bytes
}

/** The daemon's working directory is nobody's: a relative path would mean something that the client cannot know. */
function absolute(path: string): string {
  if (isAbsolute(path)) return path
  throw new Problem('INVALID_REQUEST', `not an absolute path: ${JSON.stringify(path.slice(0, 200))}`)
}
