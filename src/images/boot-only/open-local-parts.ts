import { open } from 'node:fs/promises'
import { type DataLayout, type Digest, errnoCode, isProblem, type LowerProfile } from '../../base/index.ts'
import type { FilePart } from '../../host/index.ts'
import { type LocalPart, listLazyLowers, openCachedParts } from '../../lazy/index.ts'
import { publishedParts, unpackedLayer } from './local-parts.ts'

export interface WantedParts {
  /** The lower that they are for. */
  readonly chunkIndex: Digest
  /** Of the layers, in order. */
  readonly data: readonly WantedPart[]
  readonly profile: LowerProfile
}

export interface WantedPart {
  readonly digest: Digest
  readonly diffId: Digest
  readonly lowerBytes: number
}

export interface OpenedParts extends AsyncDisposable {
  /** By the number of the part in the lower, those that have all of it first. */
  readonly found: ReadonlyMap<number, readonly LocalPart[]>
}

/**
 * Opens what this host has of a published rootfs: layers that were unpacked here, lowers that were published with the same blobs, and what is here of lowers that are read in
 * part. Open files stay readable when somebody takes their names, so nothing needs to be held; and nothing is believed of them.
 */
export async function openLocalParts(layout: DataLayout, wanted: WantedParts): Promise<OpenedParts> {
  const opened: AsyncDisposable[] = []
  const found = new Map<number, LocalPart[]>()
  const add = (number: number, part: LocalPart) => found.set(number, [...(found.get(number) ?? []), part])
  const lowers = await publishedParts({ layout })
  // The bootstrap comes before them.
  const numbered = wanted.data.map((part, at) => ({ ...part, number: at + 1 }))
  for (const { number, digest, diffId, lowerBytes } of numbered) {
    const part = (await presentLayer(layout, diffId, wanted.profile)) ?? lowers.get(digest)?.part
    if (part?.length !== lowerBytes) continue
    const file = await openIfThere(part)
    if (file === undefined) continue
    opened.push(file)
    add(number, { fd: file.fd, offset: part.offset })
  }
  const missing = numbered.filter(({ number }) => !found.has(number))
  for (const cached of await cachesWith(layout, wanted.chunkIndex, missing)) {
    opened.push(cached)
    for (const { number, digest, lowerBytes } of missing) {
      const part = cached.parts.get(digest)
      if (part?.bytes === lowerBytes) add(number, part)
    }
  }
  return {
    found,
    [Symbol.asyncDispose]: async () => {
      for (const one of opened) await one[Symbol.asyncDispose]()
    },
  }
}

/** The caches of other lowers that have some of these parts, perhaps. */
async function cachesWith(layout: DataLayout, ours: Digest, parts: readonly WantedPart[]) {
  const digests = new Set(parts.map(({ digest }) => digest))
  if (digests.size === 0) return []
  const others = (await listLazyLowers(layout)).filter(
    ({ chunkIndex, source }) => chunkIndex !== ours && source.data.some(({ digest }) => digests.has(digest)),
  )
  const opened = await Promise.all(others.map(({ chunkIndex }) => openCachedParts(layout, chunkIndex)))
  return opened.flatMap((one) => one ?? [])
}

/** Undefined also for one that is going just now. */
async function presentLayer(layout: DataLayout, diffId: Digest, profile: LowerProfile): Promise<FilePart | undefined> {
  try {
    return await unpackedLayer({ layout }, diffId, profile)
  } catch (error) {
    if (isProblem(error) || errnoCode(error) !== undefined) return undefined
    throw error
  }
}

async function openIfThere({ path }: FilePart) {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (errnoCode(error) !== undefined) return undefined
    throw error
  }
}
