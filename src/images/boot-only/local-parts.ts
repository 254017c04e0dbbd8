import { link, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Digest, errnoCode, isDigest, isProblem, type LowerProfile } from '../../base/index.ts'
import { decodeChunkIndex } from '../../formats/index.ts'
import { type FilePart, namesIn } from '../../host/index.ts'
import { findWholeParts, listLazyLowers } from '../../lazy/index.ts'
import type { ImagesContext } from '../images-context.ts'
import { findKeptLower } from '../kept/find-kept-lower.ts'
import { hasLayerFiles } from '../lowers/unpack-layer.ts'
import type { PublishedRootfs } from './read-published-rootfs.ts'

/** Where the bytes of some parts are on this host already. */
export interface LocalParts extends Disposable {
  /** Parts that need not be fetched, by their number in the lower. */
  readonly found: ReadonlyMap<number, FilePart>
}

/**
 * Looks for the parts of a published rootfs in what this host has: layers that were unpacked here, lowers that were published with the same blobs, and what is here of lowers that
 * are read in part. Nothing is believed of them: the lower that is made of them is verified leaf by leaf. What they lie in is held until the disposal.
 *
 * @param staging a directory of ours: caches get a name there, which nobody takes away
 */
export async function findLocalParts(
  context: ImagesContext,
  { bootstrap, data, profile }: PublishedRootfs['manifest'],
  staging: string,
): Promise<LocalParts> {
  const held: Disposable[] = []
  const found = new Map<number, FilePart>()
  try {
    const lowers = await publishedParts(context)
    for (const [at, { digest, diffId, lowerBytes }] of data.entries()) {
      // The bootstrap comes before them.
      const number = at + 1
      const unpacked = await unpackedLayer(context, diffId, profile)
      if (unpacked?.length === lowerBytes) {
        held.push(leaseOf(context, diffId))
        found.set(number, unpacked)
        continue
      }
      const inLower = lowers.get(digest)
      if (inLower?.part.length !== lowerBytes || !hold(context, held, inLower.manifest)) continue
      found.set(number, inLower.part)
    }
    const parts = [bootstrap, ...data].map((part, number) => ({ ...part, number }))
    const missing = parts.filter(({ number }) => !found.has(number))
    for (const [number, part] of await partsOfCaches(context, missing, staging)) found.set(number, part)
    await context.leases.settled()
    return { found, [Symbol.dispose]: () => letGo(held) }
  } catch (error) {
    letGo(held)
    throw error
  }
}

interface NumberedPart {
  readonly number: number
  readonly digest: Digest
  readonly lowerBytes: number
}

/** Those that are here as a whole of lowers that are read in part, by their number. */
async function partsOfCaches(
  { layout }: Pick<ImagesContext, 'layout'>,
  wanted: readonly NumberedPart[],
  staging: string,
): Promise<Map<number, FilePart>> {
  const found = new Map<number, FilePart>()
  for (const [at, { chunkIndex }] of (await listLazyLowers(layout)).entries()) {
    const whole = await findWholeParts(layout, chunkIndex)
    const path = join(staging, `cache-${at}`)
    const taken = wanted.flatMap(({ number, digest, lowerBytes }) => {
      const part = whole.get(digest)
      return !found.has(number) && part?.length === lowerBytes ? [{ number, part }] : []
    })
    if (taken.length === 0 || !(await isLinked(layout.lazyLower(chunkIndex).data, path))) continue
    for (const { number, part } of taken) found.set(number, { ...part, path })
  }
  return found
}

/** False when it is gone. */
async function isLinked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (errnoCode(error) === undefined) throw error
    return false
  }
}

export async function unpackedLayer(
  { layout }: Pick<ImagesContext, 'layout'>,
  diffId: Digest,
  profile: LowerProfile,
): Promise<FilePart | undefined> {
  if (!(await hasLayerFiles(layout, diffId, profile))) return undefined
  const path = layout.layerData(diffId, profile)
  const { size } = await stat(path)
  return { path, offset: 0, length: size }
}

export interface PartOfLower {
  readonly manifest: Digest
  readonly part: FilePart
}

/** The data blobs in the lowers that were pulled as they were published, by digest. */
export async function publishedParts({ layout }: Pick<ImagesContext, 'layout'>): Promise<Map<Digest, PartOfLower>> {
  const parts = new Map<Digest, PartOfLower>()
  for (const name of await namesIn(layout.keptLowers)) {
    const manifest = `sha256:${basename(name, '.chunks')}`
    if (!name.endsWith('.chunks') || !isDigest(manifest)) continue
    // The lower comes last: without it somebody was stopped in the middle.
    if (findKeptLower(layout, manifest) === undefined) continue
    const index = await readIndex(join(layout.keptLowers, name))
    let offset = 0
    for (const { digest, lengths } of index?.parts ?? []) {
      const length = lengths.reduce((sum, one) => sum + one, 0)
      parts.set(digest, { manifest, part: { path: layout.keptLower(manifest), offset, length } })
      offset += length
    }
  }
  return parts
}

/** One that cannot be read is of no help. */
async function readIndex(path: string) {
  try {
    return decodeChunkIndex(await readFile(path))
  } catch (error) {
    if (isProblem(error) || errnoCode(error) !== undefined) return undefined
    throw error
  }
}

function letGo(held: readonly Disposable[]): void {
  for (const one of held) one[Symbol.dispose]()
}

function leaseOf({ leases }: ImagesContext, digest: Digest): Disposable {
  const lease = leases.openBlobLease()
  lease.add(digest)
  return lease
}

/** False when it is just being removed. */
function hold({ leases }: ImagesContext, held: Disposable[], manifest: Digest): boolean {
  try {
    held.push(leases.holdImage(manifest))
    return true
  } catch (error) {
    if (isProblem(error, 'IMAGE_NOT_FOUND')) return false
    throw error
  }
}
