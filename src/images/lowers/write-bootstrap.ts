import { closeSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { type Digest, isProblem, Problem, problemFromSystem, shortDigest } from '../../base/index.ts'
import { blockSize, decodeLayerIndex, type LayerIndex, layoutBootstrap } from '../../formats/index.ts'
import { flattenLayers } from '../flatten/flatten-layers.ts'

export interface CachedLayer {
  readonly diffId: Digest
  readonly indexPath: string
  readonly dataPath: string
}

export interface WriteBootstrap {
  /** From the bottom to the top; the same layer may come more than once. */
  readonly layers: readonly CachedLayer[]
  /** 16 bytes. */
  readonly uuid: Uint8Array
  /** A file that does not exist yet. */
  readonly to: string
}

export interface WrittenBootstrap {
  readonly bytes: number
  /** The data blobs that follow it, in order. */
  readonly blobs: readonly { readonly diffId: Digest; readonly path: string; readonly bytes: number }[]
  readonly totalBytes: number
  readonly inodes: number
  readonly warnings: readonly string[]
}

/**
 * Writes the bootstrap of an image: all of its metadata, whiteouts applied, as it follows from the indexes of its layers. It blocks its
 * thread, for about 10 ms per 1,000 entries: run it in a worker unless there are few.
 *
 * @throws Problem LAYER_INVALID, LIMIT_EXCEEDED for what the layers say; INTERNAL with `data.damaged`, a diff_id, when the cached files of a
 *   layer are not what they should be; NO_SPACE, IO_FAILED
 */
export function writeBootstrap({ layers, uuid, to }: WriteBootstrap): WrittenBootstrap {
  const opened = openLayers(layers)
  const { root, usedBlobs, warnings } = flattenLayers(
    opened.map(({ index, blob }) => ({ entries: index.entries, entryCount: index.entryCount, blob })),
  )
  const blobBlocks = opened.map(({ index, blob }, number) =>
    blob === number && usedBlobs.has(blob) ? index.dataBlocks : 0,
  )
  const bootstrap = layoutBootstrap(root, { uuid: Buffer.from(uuid), blobBlocks })
  writeChunks(to, bootstrap.chunks())
  return {
    bytes: bootstrap.bytes,
    blobs: layers.flatMap(({ diffId, dataPath }, number) => {
      const bytes = (blobBlocks[number] ?? 0) * blockSize
      return bytes === 0 ? [] : [{ diffId, path: dataPath, bytes }]
    }),
    totalBytes: bootstrap.totalBlocks * blockSize,
    inodes: bootstrap.inodes,
    warnings: [...opened.flatMap(readerWarnings), ...warnings],
  }
}

/** What the tar reader had to say, once for a layer that comes twice. */
function readerWarnings({ index, blob }: OpenedLayer, number: number): string[] {
  return blob === number ? index.warnings.map((warning) => `layer ${number + 1}: ${warning}`) : []
}

interface OpenedLayer {
  readonly index: LayerIndex
  /** The number of the first layer with this data. */
  readonly blob: number
}

function openLayers(layers: readonly CachedLayer[]): OpenedLayer[] {
  const opened: OpenedLayer[] = []
  for (const layer of layers) {
    const blob = layers.findIndex(({ diffId }) => diffId === layer.diffId)
    opened.push(opened[blob] ?? { index: openLayer(layer), blob })
  }
  return opened
}

function openLayer(layer: CachedLayer): LayerIndex {
  const index = decodeIndex(layer)
  if (index.diffId !== layer.diffId) throw damaged(layer, `its index is that of ${shortDigest(index.diffId)}`)
  const { size } = statSync(layer.dataPath, { throwIfNoEntry: false }) ?? { size: -1 }
  if (size !== index.dataBlocks * blockSize)
    throw damaged(layer, `its data has ${size} bytes, not ${index.dataBlocks * blockSize}`)
  return index
}

function decodeIndex(layer: CachedLayer): LayerIndex {
  try {
    return decodeLayerIndex(readFileSync(layer.indexPath))
  } catch (error) {
    throw damaged(layer, isProblem(error) ? error.message : problemFromSystem(error, 'read its index').message)
  }
}

function damaged({ diffId }: CachedLayer, why: string): Problem {
  return new Problem('INTERNAL', `the cached layer ${shortDigest(diffId)} is damaged: ${why}`, {
    data: { damaged: diffId },
  })
}

function writeChunks(path: string, chunks: Iterable<Buffer>): void {
  try {
    const fd = openSync(path, 'wx', 0o600)
    try {
      for (const chunk of chunks) {
        for (let written = 0; written < chunk.length; ) written += writeSync(fd, chunk, written)
      }
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw problemFromSystem(error, `write ${path}`)
  }
}
