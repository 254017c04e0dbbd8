import { readFile } from 'node:fs/promises'
import { type DataLayout, Problem, shortDigest } from '../../base/index.ts'
import { readStaged } from '../../blobs/index.ts'
import {
  checkImageManifest,
  checkLayerCount,
  type Descriptor,
  documentLimits,
  type ImageConfig,
  type Manifest,
  type Platform,
  parseImageConfig,
  platformNotFound,
  runsOn,
  selectPlatform,
} from '../../formats/index.ts'
import type { ImagesContext } from '../images-context.ts'
import { type Gathered, missingFrom } from './gather-image.ts'

/** An image that is all there and runs here. */
export interface ChosenImage {
  /** What its tags will point at, with all that goes with it. */
  readonly root: Gathered
  /** The manifest of this host's platform. */
  readonly host: Gathered
  readonly manifest: Manifest
  readonly config: ImageConfig
}

/**
 * What will be kept of what was gathered. An index is kept as it is when everything it lists is there; when other platforms are missing, as in
 * what Docker saves of an image that it pulled for one, this host's manifest is kept alone: whatever the store refers to, it has.
 *
 * @see docs/decisions/0010-what-image-load-keeps.md
 * @throws Problem BLOB_NOT_FOUND when this host's image is not whole; PLATFORM_NOT_FOUND; IMAGE_INVALID; IMAGE_UNSUPPORTED
 */
export async function chooseImage(
  gathered: Gathered,
  { layout, platform }: Pick<ImagesContext, 'layout' | 'platform'>,
): Promise<ChosenImage> {
  const host = hostMember(gathered, platform)
  requireWhole(host)
  const { manifest } = host
  if (manifest === undefined) {
    throw new Problem('IMAGE_UNSUPPORTED', `this is no container image: ${host.descriptor.mediaType}`)
  }
  checkImageManifest(manifest)
  const config = await readConfig(layout, host, manifest.config)
  checkLayerCount(manifest, config)
  if (!runsOn(config, platform)) throw platformNotFound(platform, [config])
  return { root: missingFrom(gathered).length === 0 ? gathered : host, host, manifest, config }
}

function hostMember(gathered: Gathered, platform: Platform): Gathered {
  const { index, members } = gathered
  if (index === undefined) return gathered
  const selected = selectPlatform(index, platform)
  const member = members.find(({ descriptor }) => descriptor === selected)
  if (member === undefined) throw new Problem('INTERNAL', 'a member of an index is not one of its members')
  return hostMember(member, platform)
}

async function readConfig(
  layout: DataLayout,
  { members }: Gathered,
  { digest, size }: Descriptor,
): Promise<ImageConfig> {
  const blob = members.find(({ descriptor }) => descriptor.digest === digest)?.blob
  if (blob === undefined) throw new Problem('INTERNAL', 'a manifest that is whole has no config')
  if (size > documentLimits.config) {
    throw new Problem('LIMIT_EXCEEDED', `the image config has ${size} bytes; at most ${documentLimits.config} are read`)
  }
  return parseImageConfig(await readStaged(layout, { digest, size, path: blob.path }, (path) => readFile(path)))
}

function requireWhole(host: Gathered): void {
  const missing = missingFrom(host)
  const [first] = missing as { digest?: string }[]
  if (first === undefined) return
  const which = `${shortDigest(first.digest ?? '')}${missing.length > 1 ? ` and ${missing.length - 1} more` : ''}`
  throw new Problem('BLOB_NOT_FOUND', `the image is not all there: blob ${which} is missing`, {
    hint: 'the archive is incomplete: make it again, for this platform',
    data: { missing: missing.slice(0, 100) },
  })
}
