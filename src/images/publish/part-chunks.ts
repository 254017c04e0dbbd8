import { readFile, stat } from 'node:fs/promises'
import { problemFromSystem } from '../../base/index.ts'
import { blockSize, decodeLayerIndex, decodeLayerMap, fileChunks } from '../../formats/index.ts'
import type { CachedLayer } from '../lowers/write-bootstrap.ts'

/** How a layer's data blob is cut, as it follows from the layer's index and, when it is compressed, its map. @throws Problem LAYER_INVALID, IO_FAILED */
export async function layerChunks({ indexPath, mapPath }: CachedLayer): Promise<Uint32Array> {
  if (mapPath !== undefined) {
    const { dataBlocks, contents } = await decoded(mapPath, decodeLayerMap)
    return fileChunks(new Set(Array.from(contents.values(), ({ startBlock }) => startBlock)), dataBlocks)
  }
  const { dataBlocks, entries } = await decoded(indexPath, decodeLayerIndex)
  const starts = new Set<number>()
  for (const entry of entries) {
    if (entry.type === 'file' && entry.content.kind === 'blocks') starts.add(entry.content.startBlock)
  }
  return fileChunks(starts, dataBlocks)
}

async function decoded<T>(path: string, decode: (bytes: Buffer) => T): Promise<T> {
  try {
    return decode(await readFile(path))
  } catch (error) {
    throw problemFromSystem(error, `read ${path}`)
  }
}

/** How anything else of whole blocks is cut: evenly. */
export async function evenChunks(path: string): Promise<Uint32Array> {
  try {
    return fileChunks([], (await stat(path)).size / blockSize)
  } catch (error) {
    throw problemFromSystem(error, `look at ${path}`)
  }
}
