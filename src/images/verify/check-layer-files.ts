import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { type Digest, isProblem, Problem, printableBytes, problemFromSystem, shortDigest } from '../../base/index.ts'
import {
  blockSize,
  type Extent as Cluster,
  decodeCluster,
  decodeLayerIndex,
  decodeLayerMap,
  type LayerIndex,
  type LayerMap,
} from '../../formats/index.ts'

export interface CheckLayerFiles {
  readonly diffId: Digest
  readonly indexPath: string
  readonly dataPath: string
  /** Of a compressed data blob. */
  readonly mapPath?: string | undefined
}

/** Where a file of the layer is in the data blob. */
interface Extent {
  readonly start: number
  /** In the blob. */
  readonly stored: number
  /** When it is compressed. */
  readonly clusters: Iterable<Cluster> | undefined
  readonly sha256: Buffer
  readonly path: Buffer
}

const readBytes = 1 << 20

/**
 * Checks the cached files of a layer: the index against its own checksum and the layer that it should be of, every file of the data blob
 * against its sha256 in the index, and that between files there are only zeros. Together with the check that every index went through when it
 * was made, which is that the tar has the diff_id, this says that the files are the layer. It blocks its thread: run it in a worker.
 *
 * @param onBytes hears how many bytes more were read
 * @returns what is wrong, or undefined
 */
export function checkLayerFiles(
  { diffId, indexPath, dataPath, mapPath }: CheckLayerFiles,
  onBytes: (bytes: number) => void,
): string | undefined {
  try {
    const index = decodeLayerIndex(readFileSync(indexPath))
    if (index.diffId !== diffId) return `its index is that of ${shortDigest(index.diffId)}`
    const map = mapPath === undefined ? undefined : decodeLayerMap(readFileSync(mapPath))
    if (map !== undefined && map.diffId !== diffId) return `its map is that of ${shortDigest(map.diffId)}`
    const { size } = statSync(dataPath)
    const expected = (map ?? index).dataBlocks * blockSize
    if (size !== expected) return `its data has ${size} bytes; its index says ${expected}`
    return checkData(dataPath, extentsOf(index, map), expected, onBytes)
  } catch (error) {
    return isProblem(error) ? error.message : problemFromSystem(error, 'read it').message
  }
}

/** In the order of their places; content that several files have, once. */
function extentsOf({ entries }: LayerIndex, map: LayerMap | undefined): Extent[] {
  const extents = new Map<number, Extent>()
  for (const entry of entries) {
    if (entry.type !== 'file' || entry.content.kind !== 'blocks') continue
    const { sha256 } = entry.content
    const where = map === undefined ? entry.content : map.contents.get(entry.content.startBlock)
    if (where === undefined) throw new Problem('LAYER_INVALID', 'its map lacks a file of its index')
    const start = where.startBlock * blockSize
    const clusters = where.kind === 'compressed' ? where.extents : undefined
    const stored = where.kind === 'compressed' ? where.blocks * blockSize : entry.size
    extents.set(where.startBlock, { start, stored, clusters, sha256, path: entry.path })
  }
  return [...extents.values()].sort((a, b) => a.start - b.start)
}

function checkData(
  path: string,
  extents: readonly Extent[],
  bytes: number,
  onBytes: (bytes: number) => void,
): string | undefined {
  const fd = openSync(path, 'r')
  try {
    let end = 0
    for (const extent of extents) {
      const { start, stored, sha256, path: name } = extent
      if (start < end) return `two of its files overlap at byte ${start}`
      if (!isZero(fd, end, start)) return `its data has something between two files, before byte ${start}`
      if (!hashOf(fd, extent)?.equals(sha256))
        return `the content of ${printableBytes(name.subarray(0, 300))} is damaged`
      onBytes(start + stored - end)
      end = start + stored
    }
    return isZero(fd, end, bytes) ? undefined : 'its data has something after its last file'
  } finally {
    closeSync(fd)
  }
}

/** Of the content of a file; undefined when a cluster does not hold what it should. */
function hashOf(fd: number, { start, stored, clusters }: Extent): Buffer | undefined {
  const hash = createHash('sha256')
  if (clusters === undefined) {
    for (const chunk of pieces(fd, start, start + stored)) hash.update(chunk)
    return hash.digest()
  }
  let at = start
  for (const extent of clusters) {
    const end = at + extent.blocks * blockSize
    const content = decodeCluster(Buffer.concat([...pieces(fd, at, end)].map((piece) => Buffer.from(piece))), extent)
    if (content === undefined) return undefined
    hash.update(content)
    at = end
  }
  return hash.digest()
}

function isZero(fd: number, start: number, end: number): boolean {
  for (const chunk of pieces(fd, start, end)) if (chunk.some((byte) => byte !== 0)) return false
  return true
}

const buffer = Buffer.allocUnsafe(readBytes)

/** Views of one buffer: each is gone with the next. */
function* pieces(fd: number, start: number, end: number): Generator<Buffer> {
  for (let at = start; at < end; ) {
    const count = readSync(fd, buffer, 0, Math.min(readBytes, end - at), at)
    // It became shorter meanwhile: what is missing cannot match.
    if (count === 0) return
    yield buffer.subarray(0, count)
    at += count
  }
}
