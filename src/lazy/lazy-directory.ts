import { mkdir, readFile, rm } from 'node:fs/promises'
import { z } from 'zod'
import {
  type DataLayout,
  type Digest,
  digestOf,
  errnoCode,
  isDigest,
  isProblem,
  lowerProfiles,
  Problem,
  problemFromSystem,
} from '../base/index.ts'
import { type ChunkIndex, decodeChunkIndex } from '../formats/index.ts'
import { type FileLock, fileStatus, isLocked, lockFile, namesIn, writeFileAtomically } from '../host/index.ts'
import { readRecord, writeRecord } from '../state/index.ts'

const DigestText = z.string().refine(isDigest)

/** Which image a lazy lower is of, and where the rest of it is. */
export const LazySource = z.object({
  version: z.literal(1),
  /** What the user asked for. */
  reference: z.string(),
  repository: z.object({ registry: z.string(), path: z.string() }),
  plain_http: z.boolean(),
  /** What the reference stood for when it was asked for last. */
  published_as: DigestText,
  manifest_digest: DigestText,
  profile: z.enum(lowerProfiles),
  lower_bytes: z.int(),
  /** It has no chunk index: it is one blob, and its directory is called by its manifest, which that is in. */
  plain: z.boolean().optional(),
  blob_digest: DigestText.optional(),
  /** The data blobs of its layers, in order: what this host may have of them. */
  data: z.array(z.object({ digest: DigestText, diff_id: DigestText, lower_bytes: z.int() })),
  /** Boot traces that were published with it. */
  traces: z.array(z.object({ name: z.string(), digest: DigestText, size: z.int() })).optional(),
})
export type LazySource = z.infer<typeof LazySource>

/** A lazy lower that is on this host. */
export interface KnownLower {
  readonly chunkIndex: Digest
  readonly source: LazySource
}

/** A directory of a lazy lower, whether its record can be read or not. */
export interface LazyUse {
  readonly chunkIndex: Digest
  /** Undefined when nothing says any more what it is of. */
  readonly source: LazySource | undefined
  /** Somebody serves it. */
  readonly isOpen: boolean
}

/**
 * Makes the directory of a lazy lower and keeps it from being removed until the lock is released.
 *
 * @throws Problem NO_SPACE, PERMISSION_DENIED, IO_FAILED
 */
export async function holdLazyDirectory(layout: DataLayout, chunkIndex: Digest): Promise<FileLock> {
  const { dir, lock } = layout.lazyLower(chunkIndex)
  for (;;) {
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 })
    } catch (error) {
      throw problemFromSystem(error, `make ${dir}`)
    }
    try {
      return await lockFile(lock, { mode: 'shared', wait: true })
    } catch (error) {
      // Somebody has just removed it.
      if (!isProblem(error, 'FILE_NOT_FOUND')) throw error
    }
  }
}

/** Writes down what a lazy lower is, so that it can be served with the registry dead. Hold its directory. @throws Problem NO_SPACE, IO_FAILED */
export async function noteLazySource(layout: DataLayout, source: LazySource, indexBytes: Buffer): Promise<void> {
  const { chunks, record } = layout.lazyLower(digestOf(indexBytes))
  await writeFileAtomically(chunks, indexBytes)
  await writeRecord(record, source)
}

/** The same of one that has no chunk index. Hold its directory. @throws Problem NO_SPACE, IO_FAILED */
export async function notePlainSource(layout: DataLayout, source: LazySource): Promise<void> {
  await writeRecord(layout.lazyLower(source.manifest_digest).record, source)
}

/** The blob that a lower without a chunk index is; it called its directory, once. @param known what that is called */
export function blobOf({ chunkIndex, source }: KnownLower): Digest {
  return source.blob_digest ?? chunkIndex
}

/** The chunk index of a lazy lower; undefined when it is not here, or damaged. @throws Problem PERMISSION_DENIED, IO_FAILED */
export async function readLazyIndex(layout: DataLayout, chunkIndex: Digest): Promise<ChunkIndex | undefined> {
  return (await readStoredIndex(layout, chunkIndex))?.index
}

/** A chunk index, and the bytes that its digest is of. */
export interface StoredIndex {
  readonly index: ChunkIndex
  readonly bytes: Buffer
}

/** As readLazyIndex, with the bytes. @throws Problem PERMISSION_DENIED, IO_FAILED */
export async function readStoredIndex(layout: DataLayout, chunkIndex: Digest): Promise<StoredIndex | undefined> {
  const { chunks } = layout.lazyLower(chunkIndex)
  try {
    const bytes = await readFile(chunks)
    return digestOf(bytes) === chunkIndex ? { index: decodeChunkIndex(bytes), bytes } : undefined
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || isProblem(error)) return undefined
    throw problemFromSystem(error, `read ${chunks}`)
  }
}

/** Writes down that all of a lazy lower is here. Nobody believes it: it is what makes somebody look. Hold its directory. @throws Problem NO_SPACE, IO_FAILED */
export async function noteWhole(layout: DataLayout, chunkIndex: Digest): Promise<void> {
  await writeFileAtomically(layout.lazyLower(chunkIndex).whole, '')
}

/** It is not: what was to be whole has a leaf that is wrong. @throws Problem IO_FAILED */
export async function forgetWhole(layout: DataLayout, chunkIndex: Digest): Promise<void> {
  const { whole } = layout.lazyLower(chunkIndex)
  try {
    await rm(whole, { force: true })
  } catch (error) {
    throw problemFromSystem(error, `remove ${whole}`)
  }
}

/**
 * Keeps the directory of a lazy lower from being removed, when somebody has noted that all of it is here.
 *
 * @returns undefined when nobody has @throws Problem PERMISSION_DENIED, IO_FAILED
 */
export async function holdWhole(layout: DataLayout, chunkIndex: Digest): Promise<FileLock | undefined> {
  const { whole } = layout.lazyLower(chunkIndex)
  if ((await fileStatus(whole)) === undefined) return undefined
  const lock = await holdLazyDirectory(layout, chunkIndex)
  if ((await fileStatus(whole)) !== undefined) return lock
  lock.release()
  return undefined
}

/** Why a lazy lower is not what its digest says, although guests were given of it. */
export const WrongLower = z.object({ version: z.literal(1), since: z.iso.datetime(), reason: z.string() })
export type WrongLower = z.infer<typeof WrongLower>

/** Writes down that it is wrong: from then on nobody gives anything of it. Hold its directory. @throws Problem NO_SPACE, IO_FAILED */
export async function noteWrong(layout: DataLayout, chunkIndex: Digest, reason: string): Promise<void> {
  await writeRecord(layout.lazyLower(chunkIndex).wrong, { version: 1, since: new Date().toISOString(), reason })
}

/** @returns undefined when it is not known to be wrong @throws Problem PERMISSION_DENIED, IO_FAILED */
export async function readWrong(layout: DataLayout, chunkIndex: Digest): Promise<WrongLower | undefined> {
  try {
    return await readRecord(layout.lazyLower(chunkIndex).wrong, WrongLower)
  } catch (error) {
    // It is there: what it says is lost, and that it is wrong is not.
    if (isProblem(error, 'RECORD_INVALID'))
      return { version: 1, since: new Date(0).toISOString(), reason: 'it was found to be wrong' }
    throw error
  }
}

/** What to say of one that is wrong, to whoever wants to read it and whoever has. */
export function wrongLower({ reason }: Pick<WrongLower, 'reason'>): Problem {
  return new Problem('DIGEST_MISMATCH', reason, {
    hint: 'do not use what was made of it; the registry or somebody between changes it: push the image again, or publish it: cowshed image publish',
  })
}

/** Every lazy lower of a data directory that can be read, in the order of their references. @throws Problem PERMISSION_DENIED, IO_FAILED */
export async function listLazyLowers(layout: DataLayout): Promise<KnownLower[]> {
  const found: KnownLower[] = []
  for (const chunkIndex of await digestsIn(layout.lazyLowers)) {
    const source = await readLazySource(layout, chunkIndex)
    if (source !== undefined) found.push({ chunkIndex, source })
  }
  return found.sort((a, b) => (a.source.reference < b.source.reference ? -1 : 1))
}

/** Every directory of a lazy lower. @throws Problem PERMISSION_DENIED, IO_FAILED */
export async function lazyUses(layout: DataLayout): Promise<LazyUse[]> {
  const digests = await digestsIn(layout.lazyLowers)
  return await Promise.all(
    digests.map(async (chunkIndex) => ({
      chunkIndex,
      source: await readLazySource(layout, chunkIndex),
      isOpen: await isLocked(layout.lazyLower(chunkIndex).lock),
    })),
  )
}

/** Removes a lazy lower, unless somebody serves it. @returns whether it is gone @throws Problem IO_FAILED */
export async function removeLazyLower(layout: DataLayout, chunkIndex: Digest): Promise<boolean> {
  const { dir, data, chunks, record, whole, given, wrong, lock } = layout.lazyLower(chunkIndex)
  try {
    using held = await lockFile(lock, { mode: 'exclusive' })
    if (held === undefined) return false
    // The record first: without it nobody takes what is left for whole. That it is wrong is known to the end.
    for (const path of [record, whole, chunks, data, given, wrong]) await rm(path, { force: true })
    await rm(dir, { recursive: true, force: true })
    return true
  } catch (error) {
    if (isProblem(error, 'FILE_NOT_FOUND')) return true
    throw problemFromSystem(error, `remove ${dir}`)
  }
}

async function digestsIn(directory: string): Promise<Digest[]> {
  return (await namesIn(directory)).map((name) => `sha256:${name}`).filter(isDigest)
}

/** One that cannot be read is as good as none: it is written anew when the image is asked for. */
export async function readLazySource(layout: DataLayout, chunkIndex: Digest): Promise<LazySource | undefined> {
  try {
    return await readRecord(layout.lazyLower(chunkIndex).record, LazySource)
  } catch (error) {
    if (isProblem(error, 'RECORD_INVALID')) return undefined
    throw error
  }
}
