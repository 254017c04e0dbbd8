import { printableBytes } from '../../base/index.ts'
import { type Adjustment, blockSize, layoutExt4 } from '../../formats/index.ts'
import type { PlacedPart } from '../../host/index.ts'
import { flattenLayers } from '../flatten/flatten-layers.ts'
import { type CachedLayer, openLayers, readerWarnings } from '../lowers/write-bootstrap.ts'
import { writeBlocks } from './write-blocks.ts'
import { ZeroRuns } from './zero-runs.ts'

export interface WriteRootfs {
  /** From the bottom to the top; the same layer may come more than once. */
  readonly layers: readonly CachedLayer[]
  /** 16 bytes each. */
  readonly uuid: Uint8Array
  readonly hashSeed: Uint8Array
  /** A file that does not exist yet. */
  readonly to: string
}

export interface WrittenRootfs {
  /** The size of the file. */
  readonly bytes: number
  /** What of the layers' data is still to be put into it. */
  readonly parts: readonly PlacedPart[]
  readonly warnings: readonly string[]
}

/** More would say nothing new. */
const maxWarnings = 100

/**
 * Writes the root filesystem of an image as an ext4, as it follows from the indexes of its layers, but for the content of larger files: the
 * rest of the file is holes. It blocks its thread: run it in a worker unless there is little.
 *
 * @throws Problem LAYER_INVALID, LIMIT_EXCEEDED, EXT4_INVALID for what the layers say; INTERNAL with `data.damaged`, a diff_id, when the cached
 *   files of a layer are not what they should be; NO_SPACE, IO_FAILED
 */
export function writeRootfs({ layers, uuid, hashSeed, to }: WriteRootfs): WrittenRootfs {
  const opened = openLayers(layers)
  const { root, warnings } = flattenLayers(
    opened.map(({ index, blob }) => ({ entries: index.entries, entryCount: index.entryCount, blob })),
  )
  using zeros = new ZeroRuns(layers.map(({ dataPath }) => dataPath))
  const image = layoutExt4(root, {
    uuid: Buffer.from(uuid),
    hashSeed: Buffer.from(hashSeed),
    blobBlocks: opened.map(({ index }) => index.dataBlocks),
    findZeroRuns: zeros.find,
  })
  writeBlocks(to, image.bytes, image.pieces())
  return {
    bytes: image.bytes,
    parts: image.runs.map(({ blob, blobBlock, block, blocks }) => ({
      path: layers[blob]?.dataPath ?? '',
      offset: blobBlock * blockSize,
      length: blocks * blockSize,
      at: block * blockSize,
    })),
    warnings: [
      ...opened.flatMap(readerWarnings),
      ...warnings,
      ...image.adjustments.slice(0, maxWarnings).map(warningOf),
    ],
  }
}

function warningOf({ path, what }: Adjustment): string {
  return `/${printableBytes(Buffer.from(path, 'latin1'))}: ${what}`
}
