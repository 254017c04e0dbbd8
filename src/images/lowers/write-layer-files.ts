import { closeSync, createReadStream, openSync, statSync, writeSync } from 'node:fs'
import {
  type Digest,
  DigestHasher,
  digestAlgorithm,
  type LowerProfile,
  Problem,
  problemFromSystem,
  shortDigest,
} from '../../base/index.ts'
import { defaultTarLimits, LayerIndexEncoder, TarReader } from '../../formats/index.ts'
import { decompress, type GrowingFile, readGrowingFile, sniffCompression } from '../../host/index.ts'
import { peek } from '../load/peek.ts'
import { clusterBlocksOf } from './cluster-blocks.ts'
import { CompressedDataWriter } from './compressed-data-writer.ts'
import type { LayerData } from './layer-data.ts'
import { maxExpandedBytes } from './layer-limits.ts'
import { LayerUnpacker } from './layer-unpacker.ts'
import { PlainDataWriter } from './plain-data-writer.ts'

export interface WriteLayerFiles {
  /** The layer as it is stored: a tar, plain or compressed with gzip or zstd; which one, its bytes say. */
  readonly blobPath: string
  /** Of a layer that is still being written to `blobPath`: how far that is, and how many bytes it will have. */
  readonly growing?: Pick<GrowingFile, 'size' | 'growth'> | undefined
  readonly diffId: Digest
  /** Two files that do not exist yet, and a third unless the profile is `plain`. */
  readonly dataPath: string
  readonly indexPath: string
  readonly mapPath?: string | undefined
  /** `plain` unless told. The index is the same for all. */
  readonly profile?: LowerProfile | undefined
  /** That help with compressing. The bytes do not depend on it. */
  readonly threads?: number | undefined
}

export interface LayerFiles {
  readonly indexBytes: number
  readonly entries: number
  /** Of the tar. */
  readonly tarBytes: number
}

export interface WhileReading {
  /** Hears now and then how many compressed bytes were taken. */
  readonly onRead?: (bytes: number) => void
  readonly signal?: AbortSignal
}

const readBytes = 256 * 1024
const reportBytes = 4 << 20

/**
 * Turns a layer into its data blob and its index, in one pass over the compressed bytes: decompress, hash, take the tar apart, write. The
 * files are complete but not durable when it returns; when it throws they may be half written, and are the caller's to remove.
 *
 * After each MiB it lets others have a turn; for larger layers that is not enough for a daemon: run it in a worker.
 *
 * @throws Problem DIGEST_MISMATCH when the tar is not the one that the image names; COMPRESSION_INVALID, TAR_INVALID, LIMIT_EXCEEDED,
 *   NO_SPACE, FILE_NOT_FOUND, IO_FAILED, CANCELLED
 */
export async function writeLayerFiles(
  { blobPath, growing, diffId, indexPath, ...files }: WriteLayerFiles,
  whileReading: WhileReading = {},
): Promise<LayerFiles> {
  const data = dataWriter(files)
  try {
    const indexFd = openSync(indexPath, 'wx', 0o600)
    try {
      const index = new LayerIndexEncoder((chunk) => writeAll(indexFd, chunk))
      const unpacker = new LayerUnpacker(data, index)
      const tarBytes = await readLayer({ ...whileReading, blobPath, growing, diffId, unpacker, data })
      const dataBlocks = await data.finish(diffId)
      index.finish({ diffId, dataBlocks, warnings: unpacker.warnings })
      return { indexBytes: index.bytes, entries: index.entryCount, tarBytes }
    } finally {
      closeSync(indexFd)
    }
  } catch (error) {
    throw problemFromSystem(error, `unpack the layer ${shortDigest(diffId)}`)
  } finally {
    await data.close()
  }
}

function dataWriter(files: Pick<WriteLayerFiles, 'dataPath' | 'mapPath' | 'profile' | 'threads'>): LayerData {
  const { dataPath: path, mapPath, profile = 'plain', threads } = files
  const clusterBlocks = clusterBlocksOf(profile)
  if (clusterBlocks === undefined) return new PlainDataWriter(path)
  if (mapPath === undefined) throw new Problem('INTERNAL', `a layer of the profile ${profile} needs a map`)
  return new CompressedDataWriter({ path, mapPath, clusterBlocks, threads })
}

interface ReadLayer extends WhileReading, Pick<WriteLayerFiles, 'blobPath' | 'growing' | 'diffId'> {
  readonly unpacker: LayerUnpacker
  readonly data: LayerData
}

async function readLayer({ blobPath, growing, diffId, unpacker, data, onRead, signal }: ReadLayer): Promise<number> {
  const { size, source } = growing === undefined ? openWhole(blobPath) : openGrowing({ path: blobPath, ...growing })
  const { head, all } = await peek(source, 4)
  const maxBytes = maxExpandedBytes(size)
  const tar = new TarReader(unpacker, { ...defaultTarLimits, maxExpandedBytes: maxBytes })
  const hasher = new DigestHasher(digestAlgorithm(diffId))
  // By its first bytes: media types are wrong often enough.
  const compression = sniffCompression(head)
  for await (const chunk of decompress(reportingReads(all, onRead), { compression, maxBytes, thread: 'here' })) {
    if (signal?.aborted) throw new Problem('CANCELLED', 'it was stopped on request')
    hasher.update(chunk)
    tar.write(chunk)
    await data.settled()
  }
  const found = hasher.digest()
  // Before what the tar itself lacks: damage in transit explains that, and nothing else explains this.
  if (found !== diffId) throw mismatch(diffId, found)
  tar.end()
  return hasher.bytes
}

function openWhole(path: string): { size: number; source: AsyncIterable<Buffer> } {
  return { size: statSync(path).size, source: createReadStream(path, { highWaterMark: readBytes }) }
}

function openGrowing(file: GrowingFile): { size: number; source: AsyncIterable<Buffer> } {
  return { size: file.size, source: readGrowingFile(file, readBytes) }
}

async function* reportingReads(
  source: AsyncIterable<Buffer>,
  onRead?: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  let read = 0
  let reported = 0
  for await (const chunk of source) {
    read += chunk.length
    yield chunk
    if (read - reported < reportBytes) continue
    reported = read
    onRead?.(read)
  }
  onRead?.(read)
}

function mismatch(diffId: Digest, found: Digest): Problem {
  return new Problem('DIGEST_MISMATCH', `the layer's content is ${found}, but the image's config says ${diffId}`, {
    hint: 'the image is damaged or was put together wrongly: build or pull it again',
    data: { expected: diffId, found },
  })
}

function writeAll(fd: number, chunk: Buffer): void {
  for (let written = 0; written < chunk.length; ) written += writeSync(fd, chunk, written)
}
