import { Problem } from '../../base/index.ts'
import type { Descriptor, Platform } from './descriptor.ts'
import type { ImageIndex } from './parse-index.ts'

const nodeArchitectures: Readonly<Record<string, Platform>> = {
  x64: { os: 'linux', architecture: 'amd64' },
  arm64: { os: 'linux', architecture: 'arm64', variant: 'v8' },
  arm: { os: 'linux', architecture: 'arm', variant: 'v7' },
  riscv64: { os: 'linux', architecture: 'riscv64' },
  ppc64: { os: 'linux', architecture: 'ppc64le' },
  s390x: { os: 'linux', architecture: 's390x' },
}

/**
 * What guests of a machine run: always Linux, on the machine's own processor.
 *
 * @param arch as in Node's process.arch
 */
export function platformOf(arch: string): Platform {
  return nodeArchitectures[arch] ?? { os: 'linux', architecture: arch }
}

/**
 * The member of an index for a platform: the first that matches, except that of several 32-bit ARM variants the newest that still runs is
 * taken. Attestations and members of platform unknown/unknown are passed over.
 *
 * @throws Problem PLATFORM_NOT_FOUND, saying which platforms there are
 * @see image-spec image-index.md: "the first matching entry SHOULD be used"
 */
export function selectPlatform(index: ImageIndex, wanted: Platform): Descriptor {
  const candidates = index.manifests.filter((member) => !isAttestation(member))
  let best: Descriptor | undefined
  for (const member of candidates) {
    if (member.platform === undefined || !runsOn(member.platform, wanted)) continue
    if (best === undefined || armVersion(member.platform) > armVersion(best.platform)) best = member
  }
  if (best !== undefined) return best
  const [only] = candidates
  // An index of one without a platform: nothing contradicts it, and the config has the last word.
  if (only !== undefined && candidates.length === 1 && only.platform === undefined) return only
  throw platformNotFound(
    wanted,
    candidates.map((member) => member.platform),
  )
}

/** Whether a guest of platform `host` can run programs of platform `image`. */
export function runsOn(image: Platform, host: Platform): boolean {
  const of = normalize(image)
  const on = normalize(host)
  if (of.os !== on.os || of.architecture !== on.architecture) return false
  if (of.architecture === 'arm') return armVersion(of) <= armVersion(on)
  return of.variant === on.variant
}

/** Written the same way or another. */
export function isSamePlatform(a: Platform, b: Platform): boolean {
  return runsOn(a, b) && runsOn(b, a)
}

export function platformNotFound(wanted: Platform, there: readonly (Platform | undefined)[]): Problem {
  const names = [...new Set(there.map((platform) => (platform === undefined ? 'unknown' : formatPlatform(platform))))]
  const has = names.length === 0 ? 'holds no image' : `is for ${names.slice(0, 12).join(', ')}`
  return new Problem('PLATFORM_NOT_FOUND', `there is nothing for ${formatPlatform(wanted)}: the image ${has}`, {
    hint: `get the image for ${formatPlatform(wanted)}`,
    data: { wanted: formatPlatform(wanted), platforms: names },
  })
}

/** `linux/arm/v7` */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined || variant === '' ? [] : [variant])].join('/')
}

/** `linux/arm64`, `linux/arm/v7`. @throws Problem INVALID_REQUEST */
export function parsePlatform(text: string): Platform {
  const [os, architecture, variant, ...rest] = text.split('/')
  const isWord = (word: string | undefined): word is string =>
    word !== undefined && /^[a-z0-9][a-z0-9._-]*$/i.test(word)
  if (isWord(os) && isWord(architecture) && (variant === undefined || isWord(variant)) && rest.length === 0) {
    return { os, architecture, ...(variant === undefined ? {} : { variant }) }
  }
  throw new Problem('INVALID_REQUEST', `not a platform: ${JSON.stringify(text.slice(0, 80))}`, {
    hint: 'write it like linux/arm64 or linux/arm/v7',
  })
}

/** BuildKit keeps provenance beside the images, as manifests of platform unknown/unknown. */
export function isAttestation({ platform, annotations }: Descriptor): boolean {
  if (annotations?.['vnd.docker.reference.type'] === 'attestation-manifest') return true
  return platform?.os === 'unknown' && platform.architecture === 'unknown'
}

const architectureAliases: Readonly<Record<string, string>> = { x86_64: 'amd64', 'x86-64': 'amd64', aarch64: 'arm64' }
/** Writing these variants or none is the same. */
const defaultVariants: Readonly<Record<string, string>> = { amd64: 'v1', arm64: 'v8' }

function normalize({ os, architecture, variant }: Platform): Platform {
  const name = architecture.toLowerCase()
  const canonical = architectureAliases[name] ?? name
  const plain = variant === '' || variant === defaultVariants[canonical]
  return { os: os.toLowerCase(), architecture: canonical, variant: plain ? undefined : variant?.toLowerCase() }
}

/** 7 of `v7`; linux/arm without a variant is v7, as Docker has it. */
function armVersion(platform: Platform | undefined): number {
  if (platform?.architecture.toLowerCase() !== 'arm') return 0
  return Number(/^v?([5-8])$/i.exec(platform.variant ?? 'v7')?.[1] ?? 99)
}
