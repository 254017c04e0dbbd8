import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, digestOf, Problem, problemFromSystem, shortDigest } from '../../base/index.ts'
import { installFile, openStaging } from '../../host/index.ts'
import { encodeRecord } from '../../state/index.ts'
import type { ImagesContext } from '../images-context.ts'
import { findKeptLower } from '../kept/find-kept-lower.ts'
import type { LongWork } from '../long-work.ts'
import { type AssembleRootfs, assembleRootfs } from './assemble-rootfs.ts'
import { hashLeaves } from './hash-leaves.ts'
import { type KeptRecord, readKeptRecord } from './kept-record.ts'
import { findLocalParts } from './local-parts.ts'
import type { PublishedRootfs } from './read-published-rootfs.ts'

export interface KeepPublishedLower extends LongWork {
  readonly rootfs: PublishedRootfs
  /** What was asked for, and the index that it stood for. */
  readonly reference: string
  readonly publishedAs: Digest
  readonly fetch: AssembleRootfs['fetch']
  /** Called when something is about to be where others can see it. */
  readonly onInstall: () => void
}

/**
 * Makes sure that the lower of a published image is here, verified. Lease or hold the image meanwhile.
 *
 * @throws Problem as assembleRootfs does; DIGEST_MISMATCH when there is another lower of the same manifest, which sheds may boot from
 */
export async function keepPublishedLower(context: ImagesContext, request: KeepPublishedLower): Promise<void> {
  const { layout, leases } = context
  const { manifest: rootfs } = request.rootfs
  const manifest = rootfs.subject.digest
  await using staging = await openStaging(layout, `rootfs-${shortDigest(manifest)}`)
  if (await isKept(context, request)) return await leases.removal(() => note(context, request, staging.path))
  using local = await findLocalParts(context, rootfs)
  const { fetch, onProgress, signal } = request
  const lower = await assembleRootfs({
    rootfs: request.rootfs,
    local: local.found,
    fetch,
    staging: staging.path,
    onProgress,
    signal,
  })
  // One after another, as removals are: what is noted must be of the lower that is there.
  await leases.removal(async () => {
    // Others may have been quicker: then theirs must be the same.
    if (await isKept(context, request)) return await note(context, request, staging.path)
    request.onInstall()
    await note(context, request, staging.path)
    await installFile({ from: lower, to: layout.keptLower(manifest), mode: 0o444 })
  })
}

/** Whether the lower is here already. @throws Problem DIGEST_MISMATCH when another one of the same manifest is */
async function isKept({ layout }: ImagesContext, { rootfs, signal }: KeepPublishedLower): Promise<boolean> {
  const manifest = rootfs.manifest.subject.digest
  const kept = findKeptLower(layout, manifest)
  if (kept === undefined) return false
  const record = await readKeptRecord(layout, manifest)
  const leaves = await hashLeaves({ paths: [kept.path], signal })
  if (leaves.equals(rootfs.index.leaves)) return true
  // It is not even what it was published as: a disk has done that, and it is replaced, by what it was and by nothing else.
  if (record !== 'none' && record.chunk_index_digest === digestOf(rootfs.indexBytes)) return false
  throw anotherLower(manifest, record)
}

/** Writes down, before the lower itself or beside one that is there, where it comes from and what its bytes must be. */
async function note({ layout }: ImagesContext, request: KeepPublishedLower, staging: string): Promise<void> {
  const { rootfs, reference, publishedAs } = request
  const manifest = rootfs.manifest.subject.digest
  const isThere = findKeptLower(layout, manifest) !== undefined
  const known = isThere ? await readKeptRecord(layout, manifest) : 'new'
  // One that was built here needs nobody's word.
  if (known === 'none' || (known !== 'new' && known.published_as.includes(publishedAs))) return
  const earlier = known === 'new' ? [] : known.published_as
  const record: KeptRecord = {
    version: 1,
    reference: known === 'new' ? reference : known.reference,
    chunk_index_digest: digestOf(rootfs.indexBytes),
    published_as: [publishedAs, ...earlier].slice(0, maxRemembered),
  }
  try {
    await mkdir(layout.keptLowers, { recursive: true })
    await write(staging, { bytes: rootfs.indexBytes, to: layout.keptLowerChunks(manifest) })
    await write(staging, { bytes: encodeRecord(record), to: layout.keptLowerRecord(manifest) })
  } catch (error) {
    throw problemFromSystem(error, `write to ${layout.keptLowers}`)
  }
}

const maxRemembered = 16

async function write(staging: string, { bytes, to }: { bytes: Uint8Array | string; to: string }): Promise<void> {
  const from = join(staging, 'note')
  await writeFile(from, bytes)
  await installFile({ from, to, mode: 0o644 })
}

function anotherLower(manifest: Digest, record: KeptRecord | 'none'): Problem {
  const where = record === 'none' ? 'was built here' : `came from ${record.reference}`
  return new Problem('DIGEST_MISMATCH', `the rootfs is not the one of image ${shortDigest(manifest)} that ${where}`, {
    hint: `to know which is right, get the layers: cowshed image pull --with-layers; or remove the image that is here: cowshed image rm ${shortDigest(manifest)}`,
    data: { manifest },
  })
}
