import { readFile, stat } from 'node:fs/promises'
import { problemFromSystem } from '../../base/index.ts'
import { blockSize, decodeLayerIndex, fileChunks } from '../../formats/index.ts'

/** How a layer's data blob is cut, as it follows from the layer's index. @throws Problem LAYER_INVALID, IO_FAILED */
export async function layerChunks(indexPath: string): Promise<Uint32Array> {
  try {
    const { dataBlocks, entries } = decodeLayerIndex(await readFile(indexPath))
    const starts = new Set<number>()
    for (const entry of entries) {
      if (entry.type === 'file' && entry.content.kind === 'blocks') starts.add(entry.content.startBlock)
    }
    return fileChunks(starts, dataBlocks)
  } catch (error) {
    throw problemFromSystem(error, `read ${indexPath}`)
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
