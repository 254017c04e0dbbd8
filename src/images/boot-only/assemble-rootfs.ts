import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, type OnProgress, Problem, shortDigest } from '../../base/index.ts'
import { leafBytes, leafHashBytes, type RootfsPart } from '../../formats/index.ts'
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
 * Puts a published lower together, of what this host has and of what is fetched, and verifies every leaf of it. What is not right and was on
 * this host is fetched: a file of ours may have rotted, or be another layer's than somebody said.
 *
 * @returns the path of the lower in `staging`
 * @throws Problem DIGEST_MISMATCH, IMAGE_INVALID when it is not the lower of its image, COMPRESSION_INVALID, SIZE_MISMATCH, NO_SPACE, CANCELLED, and
 *   what `fetch` throws
 */
export async function assembleRootfs(request: AssembleRootfs): Promise<string> {
  const path = join(request.staging, 'lower')
  const parts = new Map<number, FilePart>()
  const local = new Map(request.local)
  for (;;) {
    const wrong = await attempt(request, { path, parts, local })
    const [first] = wrong
    if (first === undefined) return checked(request, path)
    const doubtful = partsWith(wrong, request.rootfs).filter((number) => local.has(number))
    if (doubtful.length === 0) throw wrongLeaf(first)
    for (const number of doubtful) local.delete(number)
    await rm(path, { force: true })
  }
}

interface Attempt {
  readonly path: string
  /** What was fetched and expanded, and need not be again. */
  readonly parts: Map<number, FilePart>
  readonly local: ReadonlyMap<number, FilePart>
}

/** @returns the leaves that are not what they must be */
async function attempt(request: AssembleRootfs, { path, parts, local }: Attempt): Promise<number[]> {
  const { index } = request.rootfs
  const wanted = partsOf(request.rootfs).map((part, number) => ({ part, number }))
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
  return differences(leaves, index.leaves)
}

function partsOf({ manifest }: PublishedRootfs): readonly RootfsPart[] {
  return [manifest.bootstrap, ...manifest.data]
}

/** The numbers of the parts that have some of these leaves. */
function partsWith(leaves: readonly number[], rootfs: PublishedRootfs): number[] {
  let end = 0
  return partsOf(rootfs).flatMap(({ lowerBytes }, number) => {
    const start = end
    end += lowerBytes
    return leaves.some((leaf) => leaf * leafBytes < end && (leaf + 1) * leafBytes > start) ? [number] : []
  })
}

/** What is missing in the end, or too much there, is wrong too. */
function differences(found: Buffer, expected: Buffer): number[] {
  const wrong: number[] = []
  for (let at = 0; at < Math.max(found.length, expected.length); at += leafHashBytes) {
    const end = at + leafHashBytes
    if (!found.subarray(at, end).equals(expected.subarray(at, end))) wrong.push(at / leafHashBytes)
  }
  return wrong
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
