import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, type OnProgress, Problem, shortDigest } from '../../base/index.ts'
import { leafBytes, leafHashBytes } from '../../formats/index.ts'
import { assembleFile, type FilePart } from '../../host/index.ts'
import { forEachAtOnce } from '../lowers/for-each-at-once.ts'
import { expandPart } from './expand-part.ts'
import { hashLeaves } from './hash-leaves.ts'
import { publishedComplaint } from './published-complaint.ts'
import type { PublishedRootfs } from './read-published-rootfs.ts'

export interface AssembleRootfs {
  readonly rootfs: PublishedRootfs
  /** Parts that are on this host, by their number in the lower. */
  readonly local: ReadonlyMap<number, FilePart>
  /** Brings a blob, verified. @returns where it is */
  readonly fetch: (blob: { readonly digest: Digest; readonly size: number }) => Promise<string>
  /** Of ours, empty. */
  readonly staging: string
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}

/** Parts that are brought, and expanded, at the same time. */
const atOnce = 4

/**
 * Puts a published lower together, of what this host has and of what is fetched, and verifies every leaf of it. When it is not right and some of it was
 * on this host, all of it is fetched: a file of ours may have rotted, or be another layer's than somebody said.
 *
 * @returns the path of the lower in `staging`
 * @throws Problem DIGEST_MISMATCH, IMAGE_INVALID when it is not the lower of its image, COMPRESSION_INVALID, SIZE_MISMATCH, NO_SPACE, CANCELLED, and
 *   what `fetch` throws
 */
export async function assembleRootfs(request: AssembleRootfs): Promise<string> {
  const path = join(request.staging, 'lower')
  const parts = new Map<number, FilePart>()
  const wrong = await attempt(request, { path, parts, local: request.local })
  if (wrong === undefined) return checked(request, path)
  if (request.local.size === 0) throw wrongLeaf(wrong)
  await rm(path, { force: true })
  const again = await attempt(request, { path, parts, local: new Map() })
  if (again === undefined) return checked(request, path)
  throw wrongLeaf(again)
}

interface Attempt {
  readonly path: string
  /** What was fetched and expanded, and need not be again. */
  readonly parts: Map<number, FilePart>
  readonly local: ReadonlyMap<number, FilePart>
}

/** @returns the number of the first leaf that is not what it must be; undefined when all are */
async function attempt(request: AssembleRootfs, { path, parts, local }: Attempt): Promise<number | undefined> {
  const { manifest, index } = request.rootfs
  const wanted = [manifest.bootstrap, ...manifest.data].map((part, number) => ({ part, number }))
  const missing = wanted.filter(({ number }) => !local.has(number) && !parts.has(number))
  await forEachAtOnce(missing, atOnce, async ({ part, number }) => {
    const to = join(request.staging, `part-${number}`)
    const from = await request.fetch(part)
    await expandPart({ from, to, lowerBytes: part.lowerBytes, signal: request.signal })
    parts.set(number, { path: to, offset: 0, length: part.lowerBytes })
  })
  const sources = wanted.flatMap(({ number }) => parts.get(number) ?? local.get(number) ?? [])
  const { bytes } = await assembleFile(path, sources)
  const leaves = await hashLeaves({
    paths: [path],
    onBytes: (done) => request.onProgress?.({ phase: 'verify', done, total: bytes }),
    signal: request.signal,
  })
  return firstDifference(leaves, index.leaves)
}

function firstDifference(found: Buffer, expected: Buffer): number | undefined {
  if (found.equals(expected)) return undefined
  for (let at = 0; at < expected.length; at += leafHashBytes) {
    const end = at + leafHashBytes
    if (!found.subarray(at, end).equals(expected.subarray(at, end))) return at / leafHashBytes
  }
  return expected.length / leafHashBytes
}

/** @throws Problem IMAGE_INVALID */
function checked({ rootfs: { manifest } }: AssembleRootfs, path: string): string {
  const { profile, writerVersion, subject } = manifest
  const complaint = publishedComplaint(path, { manifest: subject.digest, profile, writerVersion })
  if (complaint === undefined) return path
  throw new Problem(
    'IMAGE_INVALID',
    `the published rootfs is not that of image ${shortDigest(subject.digest)}: ${complaint}`,
  )
}

function wrongLeaf(leaf: number): Problem {
  return new Problem(
    'DIGEST_MISMATCH',
    `the rootfs is not what was published: byte ${leaf * leafBytes} or one of those after it is wrong`,
    {
      hint: 'the publication is damaged: publish the image again, or pull its layers: cowshed image pull --with-layers REF',
      data: { leaf },
    },
  )
}
