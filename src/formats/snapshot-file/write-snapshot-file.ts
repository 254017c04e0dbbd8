import { digestOf, Problem } from '../../base/index.ts'
import { type Segment, sparseTarHeader, tarEnd, tarHeader, tarPadding } from '../tar/index.ts'
import { PartDigest } from './part-digest.ts'
import { encodeDigests, encodeHeader, members } from './snapshot-file-header.ts'

/** A file of a snapshot. */
export interface SnapshotFilePart {
  /** Its path in the directory of the snapshot. */
  readonly name: string
  /** How large it is, holes included. */
  readonly bytes: number
  /** What of it is data, in order. */
  readonly segments: readonly Segment[]
  /** The bytes of a segment. */
  readonly read: (segment: Segment) => AsyncIterable<Uint8Array>
}

export interface WriteSnapshotFile {
  readonly record: unknown
  readonly parts: readonly SnapshotFilePart[]
  /** An OCI archive, and how large it is. */
  readonly image?: { readonly bytes: number; readonly source: AsyncIterable<Uint8Array> } | undefined
}

/**
 * A snapshot as a tar archive: what it is, its files, their digests, its image. The image comes after what proves the rest, so that who reads it knows all
 * of that before it takes the image in.
 *
 * @throws Problem IO_FAILED when a source has other bytes than it was said to have; what the sources throw
 */
export async function* writeSnapshotFile({ record, parts, image }: WriteSnapshotFile): AsyncGenerator<Buffer> {
  const header = encodeHeader({
    record,
    parts: parts.map(({ name, bytes }) => ({ name, bytes })),
    image: image !== undefined,
  })
  const digests: Record<string, string> = { [members.header]: digestOf(header) }
  yield* document(members.header, header)
  for (const part of parts) digests[part.name] = yield* writePart(part)
  yield* document(members.digests, encodeDigests(digests))
  if (image !== undefined) {
    yield tarHeader({ path: Buffer.from(members.image), type: 'file', size: image.bytes })
    yield* exactly(image.source, image.bytes, members.image)
    yield tarPadding(image.bytes)
  }
  yield tarEnd()
}

function* document(name: string, bytes: Buffer): Generator<Buffer> {
  yield tarHeader({ path: Buffer.from(name), type: 'file', size: bytes.length })
  yield bytes
  yield tarPadding(bytes.length)
}

async function* writePart({ name, bytes, segments, read }: SnapshotFilePart): AsyncGenerator<Buffer, string> {
  const digest = new PartDigest()
  yield sparseTarHeader({ path: Buffer.from(name), mode: 0o400, size: bytes, segments })
  let stored = 0
  for (const segment of segments) {
    digest.hole(segment.offset - digest.bytes)
    for await (const piece of exactly(read(segment), segment.length, name)) {
      digest.data(piece)
      yield piece
    }
    stored += segment.length
  }
  yield tarPadding(stored)
  return digest.digest()
}

/** An archive in which a member is longer or shorter than its header says is none. */
async function* exactly(source: AsyncIterable<Uint8Array>, bytes: number, name: string): AsyncGenerator<Buffer> {
  let seen = 0
  for await (const piece of source) {
    seen += piece.length
    if (seen > bytes) break
    yield Buffer.isBuffer(piece) ? piece : Buffer.from(piece.buffer, piece.byteOffset, piece.length)
  }
  if (seen !== bytes) throw new Problem('IO_FAILED', `${name} has changed while it was read`)
}
