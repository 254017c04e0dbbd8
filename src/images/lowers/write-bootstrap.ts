import { closeSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { basename } from 'node:path'
import {
  type DataLayout,
  type Digest,
  digestHex,
  isProblem,
  type LowerForm,
  type LowerProfile,
  Problem,
  problemFromSystem,
  shortDigest,
} from '../../base/index.ts'
import {
  blockSize,
  decodeLayerIndex,
  decodeLayerMap,
  type LayerIndex,
  type LayerMap,
  layoutBootstrap,
} from '../../formats/index.ts'
import { flattenLayers } from '../flatten/flatten-layers.ts'
import { clusterBlocksOf } from './cluster-blocks.ts'

export interface CachedLayer {
  readonly diffId: Digest
  readonly indexPath: string
  readonly dataPath: string
  /** Of a compressed data blob. */
  readonly mapPath?: string | undefined
}

/** Where the files of a layer are that a profile needs. */
export function cachedLayer(layout: DataLayout, diffId: Digest, profile: LowerProfile): CachedLayer {
  return {
    diffId,
    indexPath: layout.layerIndex(diffId),
    dataPath: layout.layerData(diffId, profile),
    mapPath: profile === 'plain' ? undefined : layout.layerMap(diffId, profile),
  }
}

export interface WriteBootstrap {
  /** From the bottom to the top; the same layer may come more than once. */
  readonly layers: readonly CachedLayer[]
  /** 16 bytes. */
  readonly uuid: Uint8Array
  /** How their data is stored. */
  readonly profile: LowerProfile
  /** `parts`: the data blobs are to be devices of their own, named by diff_id. */
  readonly form: LowerForm
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
export function writeBootstrap({ layers, uuid, profile, form, to }: WriteBootstrap): WrittenBootstrap {
  const opened = openLayers(layers)
  const { root, usedBlobs, warnings } = flattenLayers(
    opened.map(({ index, map, blob }) => ({ entries: index.entries, entryCount: index.entryCount, blob, map })),
  )
  const blobBlocks = opened.map(({ dataBlocks, blob }, number) =>
    blob === number && usedBlobs.has(blob) ? dataBlocks : 0,
  )
  const clusterBlocks = clusterBlocksOf(profile)
  const bootstrap = layoutBootstrap(root, {
    uuid: Buffer.from(uuid),
    blobBlocks,
    ...(clusterBlocks && { clusterBlocks }),
    ...(form === 'parts' && { deviceTags: layers.map(({ diffId }) => digestHex(diffId)) }),
  })
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
export function readerWarnings({ index, blob }: OpenedLayer, number: number): string[] {
  return blob === number ? index.warnings.map((warning) => `layer ${number + 1}: ${warning}`) : []
}

interface OpenedLayer {
  readonly index: LayerIndex
  /** Of a compressed data blob. */
  readonly map: LayerMap | undefined
  readonly dataBlocks: number
  /** The number of the first layer with this data. */
  readonly blob: number
}

export function openLayers(layers: readonly CachedLayer[]): OpenedLayer[] {
  const opened: OpenedLayer[] = []
  for (const layer of layers) {
    const blob = layers.findIndex(({ diffId }) => diffId === layer.diffId)
    opened.push(opened[blob] ?? { ...openLayer(layer), blob })
  }
  return opened
}

function openLayer(layer: CachedLayer): Omit<OpenedLayer, 'blob'> {
  const index = decode(layer, layer.indexPath, decodeLayerIndex)
  const map = layer.mapPath === undefined ? undefined : decode(layer, layer.mapPath, decodeLayerMap)
  const { dataBlocks } = map ?? index
  const { size } = statSync(layer.dataPath, { throwIfNoEntry: false }) ?? { size: -1 }
  if (size !== dataBlocks * blockSize) throw damaged(layer, `its data has ${size} bytes, not ${dataBlocks * blockSize}`)
  return { index, map, dataBlocks }
}

function decode<T extends { readonly diffId: Digest }>(
  layer: CachedLayer,
  path: string,
  decodeBytes: (bytes: Buffer) => T,
): T {
  const decoded = attempt(layer, () => decodeBytes(readFileSync(path)))
  if (decoded.diffId === layer.diffId) return decoded
  throw damaged(layer, `${basename(path)} is that of ${shortDigest(decoded.diffId)}`)
}

function attempt<T>(layer: CachedLayer, read: () => T): T {
  try {
    return read()
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
