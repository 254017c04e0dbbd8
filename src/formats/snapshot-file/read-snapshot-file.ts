import { type Digest, digestOf, isProblem } from '../../base/index.ts'
import { readTarMembers, type TarMember, type TarPiece } from '../tar/index.ts'
import { PartDigest } from './part-digest.ts'
import {
  maxDocumentBytes,
  members,
  parseDigests,
  parseHeader,
  type SnapshotFileHeader,
  snapshotFileInvalid,
} from './snapshot-file-header.ts'

/** What comes of a snapshot's file, in this order: a header, each part, that they are what was written, the image. */
export type SnapshotFileStep =
  | { readonly kind: 'header'; readonly header: SnapshotFileHeader }
  /** To be read to its end before the next step is asked for. */
  | { readonly kind: 'part'; readonly name: string; readonly bytes: number; readonly pieces: AsyncIterable<TarPiece> }
  | { readonly kind: 'proved' }
  /** May be left unread. Its end comes when the whole file has been found to be in order. */
  | { readonly kind: 'image'; readonly bytes: number; readonly source: AsyncIterable<Buffer> }

export type ReadSnapshotFile = AsyncGenerator<SnapshotFileStep, void, undefined>

/**
 * Reads what `writeSnapshotFile` writes. When it is done, all of it was there and nothing else.
 *
 * @throws Problem SNAPSHOT_FILE_INVALID; whatever `source` throws
 */
export async function* readSnapshotFile(source: AsyncIterable<Buffer>): ReadSnapshotFile {
  const archive = readTarMembers(source, { limits, onWarning: refuse })
  try {
    yield* explained(readSteps(archive))
  } finally {
    await archive.return()
  }
}

/** How large parts may be is for the header to say, and for its reader to allow. */
const limits = {
  maxEntries: 1000,
  maxExpandedBytes: Number.MAX_SAFE_INTEGER,
  maxSparseMapBytes: 8 << 20,
  maxXattrBytes: 0,
}

/** What other readers pass over has no place here. */
function refuse(message: string): never {
  throw snapshotFileInvalid(message)
}

/** What is wrong with the archive is said to be wrong with the snapshot. */
async function* explained<T>(source: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  try {
    yield* source
  } catch (error) {
    if (!isProblem(error, 'TAR_INVALID') && !isProblem(error, 'LIMIT_EXCEEDED')) throw error
    throw snapshotFileInvalid(error.message, error)
  }
}

type Archive = AsyncGenerator<TarMember, void, undefined>

async function* readSteps(archive: Archive): ReadSnapshotFile {
  const headerBytes = await readDocument(archive, members.header)
  const header = parseHeader(headerBytes)
  yield { kind: 'header', header }
  const found: Record<string, Digest> = { [members.header]: digestOf(headerBytes) }
  for (const { name, bytes } of header.parts) {
    const { pieces } = await nextMember(archive, name, bytes)
    const digest = new PartDigest()
    yield { kind: 'part', name, bytes, pieces: explained(hashed(pieces, digest)) }
    if (digest.bytes !== bytes) throw snapshotFileInvalid(`${name} was not read to its end`)
    found[name] = digest.digest()
  }
  checkDigests(found, parseDigests(await readDocument(archive, members.digests)))
  yield { kind: 'proved' }
  const end = onlyOnce(() => expectEnd(archive))
  if (header.image) {
    const { entry, body } = await nextMember(archive, members.image)
    yield { kind: 'image', bytes: entry.size, source: explained(thenEnd(body, end)) }
  }
  await end()
}

async function nextMember(archive: Archive, name: string, bytes?: number): Promise<TarMember> {
  const { value: member } = await archive.next()
  if (member === undefined) throw snapshotFileInvalid(`it ends before its ${name}`)
  const { path, type, size } = member.entry
  if (type !== 'file' || path.toString() !== name)
    throw snapshotFileInvalid(`something else is where its ${name} should be`)
  if (bytes !== undefined && size !== bytes)
    throw snapshotFileInvalid(`its ${name} has ${size} bytes, and should have ${bytes}`)
  return member
}

async function readDocument(archive: Archive, name: string): Promise<Buffer> {
  const { entry, body } = await nextMember(archive, name)
  if (entry.size > maxDocumentBytes) throw snapshotFileInvalid(`its ${name} has ${entry.size} bytes`)
  const pieces: Buffer[] = []
  // A piece is a view of what may be used again.
  for await (const piece of body) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}

async function* hashed(pieces: AsyncIterable<TarPiece>, digest: PartDigest): AsyncGenerator<TarPiece> {
  for await (const piece of pieces) {
    if (Buffer.isBuffer(piece)) digest.data(piece)
    else digest.hole(piece.hole)
    yield piece
  }
}

function checkDigests(found: Readonly<Record<string, Digest>>, told: Readonly<Record<string, string>>): void {
  for (const [name, digest] of Object.entries(found)) {
    if (told[name] !== digest) throw snapshotFileInvalid(`its ${name} is not what was written`)
  }
  if (Object.keys(told).length !== Object.keys(found).length) throw snapshotFileInvalid('it lacks a part')
}

async function expectEnd(archive: Archive): Promise<void> {
  const { value: more } = await archive.next()
  if (more !== undefined) throw snapshotFileInvalid('it goes on after its end')
}

async function* thenEnd(body: AsyncIterable<Buffer>, end: () => Promise<void>): AsyncGenerator<Buffer> {
  yield* body
  await end()
}

function onlyOnce(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  return () => {
    done ??= work()
    return done
  }
}
