import { open } from 'node:fs/promises'
import { type DataLayout, type Digest, errnoCode, problemFromSystem } from '../base/index.ts'
import { chunkMap } from '../formats/index.ts'
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
  const index = await readLazyIndex(layout, chunkIndex)
  if (index === undefined) return undefined
  const hashes = new LeafHashes(index, chunkMap(index).lowerBytes)
  const { data } = layout.lazyLower(chunkIndex)
  try {
    await using file = await open(data, 'r')
    return seen(LeafPresence.of(hashes, file.fd))
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return seen(LeafPresence.of(hashes, undefined))
    throw problemFromSystem(error, `look at ${data}`)
  }
}

function seen(presence: LeafPresence): SeenLeaves {
  return { hereBytes: presence.bytes(), heat: leafHeat(presence) }
}
