import { open, readFile } from 'node:fs/promises'
import {
  type Digest,
  DigestHasher,
  isDigest,
  Problem,
  printable,
  problemFromSystem,
  shortDigest,
} from '../../base/index.ts'
import { type StagedBlob, stageBlob } from '../../blobs/index.ts'
import { readTarMembers, type TarEntry } from '../../formats/index.ts'

/** A file of an archive that is not a blob by its name. */
export interface ArchiveFile {
  readonly path: string
  readonly size: number
  readonly digest: Digest
}

/** An archive, taken apart into staging. Paths are as documents write them: without `./`, in UTF-8. */
export interface ArchiveFiles {
  readonly blobs: ReadonlyMap<Digest, StagedBlob>
  readonly files: ReadonlyMap<string, ArchiveFile>
  /** Symlinks and hard links, by path, with the path that they lead to. */
  readonly links: ReadonlyMap<string, string>
}

export interface TakeApart {
  /** The tar, decompressed. */
  readonly source: AsyncIterable<Buffer>
  readonly staging: string
  /** Whether a blob need not be staged, because the store has it whole. */
  readonly isPresent: (digest: Digest, size: number) => Promise<boolean>
  readonly onBytes?: ((item: string, done: number, total: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** Blobs at most, and other files at most: an image archive has three files for each layer; a tar with more is something else. */
const maxBlobs = 50_000
const maxFiles = 5000

/**
 * Takes an archive apart in one pass, whatever the order of its members. Blobs are verified against their names as they stream by.
 *
 * @throws Problem TAR_INVALID, DIGEST_MISMATCH, SIZE_MISMATCH, IMAGE_INVALID, NO_SPACE, CANCELLED
 */
export async function takeArchiveApart(request: TakeApart): Promise<ArchiveFiles> {
  const blobs = new Map<Digest, StagedBlob>()
  const files = new Map<string, ArchiveFile>()
  const links = new Map<string, string>()
  const source = countBytes(request.source)
  for await (const { entry, body: content } of readTarMembers(source)) {
    if (request.signal?.aborted) throw new Problem('CANCELLED', 'cancelled', { cause: request.signal.reason })
    const body = source.bound(content)
    const path = memberPath(entry.path)
    if (path === undefined || entry.type === 'directory') continue
    if (blobs.size >= maxBlobs || files.size + links.size >= maxFiles) throw tooManyFiles()
    if (entry.type === 'symlink' || entry.type === 'hardlink') links.set(path, linkedPath(path, entry))
    if (entry.type !== 'file') continue
    const digest = blobDigest(path)
    if (digest === undefined)
      files.set(path, await stageFile(request, { path, body, number: files.size, size: entry.size }))
    else if (!(await request.isPresent(digest, entry.size))) {
      blobs.set(digest, await stageMember(request, { digest, body, size: entry.size }))
    }
  }
  return { blobs, files, links }
}

function stageMember(
  { staging, signal, onBytes }: TakeApart,
  { digest, body, size }: { digest: Digest; body: AsyncIterable<Buffer>; size: number },
): Promise<StagedBlob> {
  let done = 0
  const count = (bytes: number): void => {
    done += bytes
    onBytes?.(shortDigest(digest), done, size)
  }
  return stageBlob({ staging, digest, size, source: body, signal, onBytes: count })
}

interface Member {
  readonly path: string
  readonly body: AsyncIterable<Buffer>
  readonly number: number
  readonly size: number
}

/** Its role is known only when the whole archive has been seen. */
async function stageFile({ staging, signal, onBytes }: TakeApart, member: Member): Promise<ArchiveFile> {
  const path = `${staging}/file-${member.number}`
  const hasher = new DigestHasher()
  try {
    await using file = await open(path, 'wx', 0o600)
    for await (const chunk of member.body) {
      signal?.throwIfAborted()
      hasher.update(chunk)
      await file.writeFile(chunk)
      if (member.size > 2 ** 20) onBytes?.(printable(member.path), hasher.bytes, member.size)
    }
  } catch (error) {
    if (signal?.aborted) throw new Problem('CANCELLED', 'cancelled', { cause: signal.reason })
    throw problemFromSystem(error, `write a file of the archive to ${staging}`)
  }
  return { path, size: hasher.bytes, digest: hasher.digest() }
}

/** A document of the archive. @throws Problem LIMIT_EXCEEDED before a byte of it is read */
export async function readSmall(file: ArchiveFile, name: string, maxBytes = 8 * 2 ** 20): Promise<Buffer> {
  if (file.size <= maxBytes) return await readFile(file.path)
  throw new Problem('LIMIT_EXCEEDED', `${name} has ${file.size} bytes; at most ${maxBytes} are accepted`)
}

/**
 * Holds what comes out of an archive against what went in: a sparse file of a few bytes claims to be a disk full of zeros, and no image archive
 * has one.
 */
function countBytes(source: AsyncIterable<Buffer>) {
  let read = 0
  let given = 0
  return {
    async *[Symbol.asyncIterator](): AsyncIterator<Buffer> {
      for await (const chunk of source) {
        read += chunk.length
        yield chunk
      }
    },
    async *bound(body: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
      for await (const chunk of body) {
        given += chunk.length
        if (given > read)
          throw new Problem('LIMIT_EXCEEDED', 'the archive has a sparse file, which expands without end')
        yield chunk
      }
    },
  }
}

/** Members with `..` lead nowhere: nothing refers to them. */
function memberPath(path: Buffer): string | undefined {
  return normalized(path.toString('utf8'))
}

/** `a/b` of `./a//b`, `/a/b`, `a/x/../b`; undefined when it leads out of the archive. */
export function normalized(path: string): string | undefined {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..' && parts.pop() === undefined) return undefined
    if (part !== '..' && part !== '.' && part !== '') parts.push(part)
  }
  return parts.length === 0 ? undefined : parts.join('/')
}

/** A symlink's target is relative to where it stands, a hard link's to the archive. */
function linkedPath(path: string, { type, linkTarget }: TarEntry): string {
  const target = linkTarget.toString('utf8')
  if (type === 'hardlink' || target.startsWith('/')) return normalized(target) ?? ''
  return normalized(`${path}/../${target}`) ?? ''
}

/** The digest that `blobs/<algorithm>/<hex>` stands for; other algorithms than those that can be verified are plain files. */
function blobDigest(path: string): Digest | undefined {
  const [, algorithm, hex] = /^blobs\/(sha256|sha512)\/([a-f0-9]+)$/.exec(path) ?? []
  const digest = `${algorithm}:${hex}`
  return isDigest(digest) ? digest : undefined
}

function tooManyFiles(): Problem {
  return new Problem('IMAGE_INVALID', `this is no image archive: it has thousands of files`, {
    hint: 'make an image of a root filesystem first: docker import, or umoci',
  })
}
