import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  type DataLayout,
  type Digest,
  DigestHasher,
  digestAlgorithm,
  errnoCode,
  Problem,
  problemFromSystem,
  shortDigest,
} from '../base/index.ts'
import { documentLimits, parseJsonObject } from '../formats/index.ts'
import {
  allocation,
  installFile,
  openStaging,
  readSmallFile,
  syncDirectory,
  syncFile,
  writeFileAtomically,
} from '../host/index.ts'
import { type BlobSummary, listBlobs } from './list-blobs.ts'
import type { StagedBlob } from './stage-blob.ts'
import { emptyStoreIndex, formatStoreIndex, parseStoreIndex, type StoreIndex } from './store-index.ts'

export type { BlobSummary } from './list-blobs.ts'

export interface BlobStore {
  path(digest: Digest): string
  /** Bytes of a blob; undefined when it is not there. Says nothing about its content. */
  size(digest: Digest): Promise<number | undefined>
  has(digest: Digest): Promise<boolean>
  /** Whether the blob is there with this size and its content is what its digest says: reads all of it. */
  isIntact(digest: Digest, size: number): Promise<boolean>
  /** The bytes of a blob, not verified. @throws Problem BLOB_NOT_FOUND, IO_FAILED */
  read(digest: Digest): AsyncIterable<Buffer>
  /**
   * A small blob whole, verified against its digest.
   *
   * @throws Problem BLOB_NOT_FOUND, DIGEST_MISMATCH, LIMIT_EXCEEDED above `maxBytes`
   */
  readBytes(digest: Digest, maxBytes: number): Promise<Buffer>
  /**
   * Makes staged blobs visible, one after the other, and all of them durable when the promise resolves. One that is there already is replaced:
   * its content is the same, or was damaged.
   *
   * @returns those that were not where they were staged any more, because somebody else who had a share in them was quicker
   * @throws Problem FILE_NOT_FOUND, NO_SPACE, IO_FAILED; some may be visible then
   */
  install(blobs: readonly StagedBlob[]): Promise<ReadonlySet<Digest>>
  /** Every blob that is there; files that are no blobs are passed over. */
  list(): Promise<BlobSummary[]>
  /** Removes a blob; one that is not there is a success. @returns the physical bytes of what went */
  remove(digest: Digest): Promise<number>
  /** @throws Problem RECORD_INVALID when index.json cannot be read */
  readIndex(): Promise<StoreIndex>
  /**
   * Changes index.json: updates are made one after another, and a reader sees the old file or the new one. When `change` gives back what it
   * got, nothing is written.
   */
  updateIndex(change: (index: StoreIndex) => StoreIndex | Promise<StoreIndex>): Promise<StoreIndex>
}

/**
 * Opens the OCI layout of a data directory, and makes it when there is none.
 *
 * @throws Problem DATA_DIRECTORY_INVALID when the directory holds a layout of another version
 * @see image-spec image-layout.md
 */
export async function openBlobStore(layout: DataLayout): Promise<BlobStore> {
  await makeLayout(layout)
  const path = (digest: Digest): string => layout.blob(digest)
  const size = async (digest: Digest): Promise<number | undefined> => sizeOfFile(path(digest))
  return {
    path,
    size,
    has: async (digest) => (await size(digest)) !== undefined,
    isIntact: async (digest, expected) => (await size(digest)) === expected && (await hashesTo(path(digest), digest)),
    read: (digest) => readBlob(path(digest), digest),
    readBytes: (digest, maxBytes) => readVerified(path(digest), digest, maxBytes),
    install: (blobs) => installBlobs(layout, blobs),
    list: () => listBlobs(layout),
    remove: (digest) => removeBlob(path(digest)),
    readIndex: () => readStoreIndex(layout),
    updateIndex: serialUpdater(layout),
  }
}

async function makeLayout(layout: DataLayout): Promise<void> {
  try {
    await mkdir(`${layout.blobs}/sha256`, { recursive: true })
    await mkdir(layout.staging, { recursive: true, mode: 0o700 })
    if ((await sizeOfFile(layout.imageIndex)) === undefined) {
      await writeIndex(layout, emptyStoreIndex)
    }
    // Last: a directory with an oci-layout file is a whole layout.
    if ((await sizeOfFile(layout.ociLayout)) === undefined) {
      await writeFileAtomically(layout.ociLayout, '{"imageLayoutVersion":"1.0.0"}\n', { mode: 0o644 })
    }
    await checkVersion(layout.ociLayout)
  } catch (error) {
    throw problemFromSystem(error, `open the image store in ${layout.root}`)
  }
}

async function checkVersion(path: string): Promise<void> {
  const { imageLayoutVersion } = parseJsonObject(await readFile(path), { noun: path, maxBytes: 65536 })
  if (imageLayoutVersion !== '1.0.0') {
    const found = JSON.stringify(imageLayoutVersion) ?? 'none'
    throw new Problem('DATA_DIRECTORY_INVALID', `${path} says layout version ${found}; 1.0.0 is the only one known`)
  }
}

async function sizeOfFile(path: string): Promise<number | undefined> {
  try {
    const stats = await stat(path)
    return stats.isFile() ? stats.size : undefined
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw problemFromSystem(error, `look at ${path}`)
  }
}

async function hashesTo(path: string, digest: Digest): Promise<boolean> {
  const hasher = new DigestHasher(digestAlgorithm(digest))
  for await (const chunk of readBlob(path, digest)) hasher.update(chunk)
  return hasher.digest() === digest
}

async function* readBlob(path: string, digest: Digest): AsyncIterable<Buffer> {
  try {
    // Large reads: the default of 64 KiB costs a third of the throughput of hashing.
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) yield chunk as Buffer
  } catch (error) {
    throw readProblem(error, digest)
  }
}

async function readVerified(path: string, digest: Digest, maxBytes: number): Promise<Buffer> {
  const bytes = await readBounded(path, digest, maxBytes)
  const hasher = new DigestHasher(digestAlgorithm(digest))
  hasher.update(bytes)
  if (hasher.digest() === digest) return bytes
  throw new Problem('DIGEST_MISMATCH', `blob ${shortDigest(digest)} in the store is damaged`, {
    hint: 'load the image again: a damaged blob is then replaced',
    data: { digest, path },
  })
}

async function readBounded(path: string, digest: Digest, maxBytes: number): Promise<Buffer> {
  try {
    const bytes = await readSmallFile(path, { maxBytes })
    if (bytes.length <= maxBytes) return bytes
    throw new Problem('LIMIT_EXCEEDED', `blob ${shortDigest(digest)} has more than the ${maxBytes} bytes that are read`)
  } catch (error) {
    throw readProblem(error, digest)
  }
}

function readProblem(error: unknown, digest: Digest): Problem {
  if (errnoCode(error) === 'ENOENT') {
    return new Problem('BLOB_NOT_FOUND', `blob ${shortDigest(digest)} is not in the store`, { data: { digest } })
  }
  return problemFromSystem(error, `read blob ${shortDigest(digest)}`)
}

/** With one sync of the directory for all of them: each is a commit of the filesystem's journal, which everybody waits for. */
async function installBlobs(layout: DataLayout, blobs: readonly StagedBlob[]): Promise<ReadonlySet<Digest>> {
  const outcomes = await Promise.all(blobs.map((blob) => prepareBlob(layout, blob)))
  const staged = blobs.filter((_, at) => outcomes[at] === 'staged')
  const directories = new Set<string>()
  const taken = new Set(blobs.flatMap(({ digest }, at) => (outcomes[at] === 'taken' ? [digest] : [])))
  for (const blob of staged) {
    const to = layout.blob(blob.digest)
    const made = await mkdir(dirname(to), { recursive: true })
    // Only sha256 has its directory from the start.
    if (made !== undefined) directories.add(layout.blobs)
    directories.add(dirname(to))
    if ((await moveBlob(blob, to)) === 'taken') taken.add(blob.digest)
  }
  for (const directory of directories) await syncDirectory(directory)
  return taken
}

async function prepareBlob(layout: DataLayout, blob: StagedBlob): Promise<'staged' | 'taken'> {
  return await unlessTaken(blob, layout.blob(blob.digest), () => syncFile(blob.path, 0o444))
}

async function moveBlob(blob: StagedBlob, to: string): Promise<'staged' | 'taken'> {
  return await unlessTaken(blob, to, () => rename(blob.path, to))
}

async function unlessTaken(
  { size, digest }: StagedBlob,
  to: string,
  action: () => Promise<void>,
): Promise<'staged' | 'taken'> {
  try {
    await action()
    return 'staged'
  } catch (error) {
    const problem = problemFromSystem(error, `install blob ${shortDigest(digest)}`)
    if (problem.code === 'FILE_NOT_FOUND' && (await sizeOfFile(to)) === size) return 'taken'
    throw problem
  }
}

async function removeBlob(path: string): Promise<number> {
  try {
    const { physicalBytes } = await allocation(path)
    await rm(path, { force: true })
    return physicalBytes
  } catch (error) {
    const problem = problemFromSystem(error, `remove ${path}`)
    if (problem.code === 'FILE_NOT_FOUND') return 0
    throw problem
  }
}

async function readStoreIndex(layout: DataLayout): Promise<StoreIndex> {
  const path = layout.imageIndex
  try {
    return parseStoreIndex(await readSmallFile(path, { maxBytes: documentLimits.index }), path)
  } catch (error) {
    // An index.json that is gone is not an empty store: taking it for one would free every blob.
    throw problemFromSystem(error, `read ${path}`)
  }
}

/** By way of staging, which is swept: a crash leaves no temporary file in what other tools take for a layout. */
async function writeIndex(layout: DataLayout, index: StoreIndex): Promise<void> {
  await using staging = await openStaging(layout, 'index')
  const from = `${staging.path}/index.json`
  try {
    await writeFile(from, formatStoreIndex(index))
  } catch (error) {
    throw problemFromSystem(error, `write ${from}`)
  }
  await installFile({ from, to: layout.imageIndex, mode: 0o644 })
}

function serialUpdater(layout: DataLayout): BlobStore['updateIndex'] {
  let last: Promise<unknown> = Promise.resolve()
  const update = async (change: (index: StoreIndex) => StoreIndex | Promise<StoreIndex>): Promise<StoreIndex> => {
    const before = await readStoreIndex(layout)
    const after = await change(before)
    if (after !== before) await writeIndex(layout, after)
    return after
  }
  return (change) => {
    const next = last.then(() => update(change))
    // One that fails must not stop the ones behind it.
    last = next.catch(() => {})
    return next
  }
}
