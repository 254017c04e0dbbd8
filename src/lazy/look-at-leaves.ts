import { open } from 'node:fs/promises'
import { type DataLayout, type Digest, errnoCode, problemFromSystem } from '../base/index.ts'
import { type ChunkIndex, chunkMap, leafBytes } from '../formats/index.ts'
import type { FilePart } from '../host/index.ts'
import { LeafHashes } from './cache/leaf-hashes.ts'
import { LeafPresence } from './cache/leaf-presence.ts'
import { readLazyIndex } from './lazy-directory.ts'
import { type LeafHeat, leafHeat } from './leaf-heat.ts'

/** What a lower has that nobody serves. */
export interface SeenLeaves {
  readonly hereBytes: number
  readonly heat: LeafHeat
}

/**
 * What a lower that nobody serves seems to have of its leaves: none of them is read. Undefined when nothing says any more what it consists of.
 *
 * @throws Problem PERMISSION_DENIED, IO_FAILED
 */
export async function lookAtLeaves(layout: DataLayout, chunkIndex: Digest): Promise<SeenLeaves | undefined> {
  const known = await look(layout, chunkIndex)
  return known && { hereBytes: known.presence.bytes(), heat: leafHeat(known.presence) }
}

/**
 * The parts of such a lower of which every leaf seems to be here, by the digests of their blobs. Nothing of them is read: whoever takes them verifies what he has made of them.
 *
 * @throws Problem PERMISSION_DENIED, IO_FAILED
 */
export async function findWholeParts(layout: DataLayout, chunkIndex: Digest): Promise<Map<Digest, FilePart>> {
  const found = new Map<Digest, FilePart>()
  const known = await look(layout, chunkIndex)
  if (known === undefined) return found
  const { data: path } = layout.lazyLower(chunkIndex)
  let offset = 0
  for (const { digest, lengths } of known.index.parts) {
    const length = lengths.reduce((sum, one) => sum + one, 0)
    if (hasAll(known.presence, offset, length)) found.set(digest, { path, offset, length })
    offset += length
  }
  return found
}

/** Whether all leaves of a range are there. */
export function hasAll(leaves: { has(leaf: number): boolean }, offset: number, length: number): boolean {
  for (let leaf = Math.floor(offset / leafBytes); leaf * leafBytes < offset + length; leaf++) {
    if (!leaves.has(leaf)) return false
  }
  return true
}

async function look(
  layout: DataLayout,
  chunkIndex: Digest,
): Promise<{ index: ChunkIndex; presence: LeafPresence } | undefined> {
  const index = await readLazyIndex(layout, chunkIndex)
  if (index === undefined) return undefined
  const hashes = new LeafHashes(index, chunkMap(index).lowerBytes)
  const { data } = layout.lazyLower(chunkIndex)
  try {
    await using file = await open(data, 'r')
    return { index, presence: LeafPresence.of(hashes, file.fd) }
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return { index, presence: LeafPresence.of(hashes, undefined) }
    throw problemFromSystem(error, `look at ${data}`)
  }
}
