import { type Digest, digestOf, Problem, shortDigest } from '../../base/index.ts'
import { installFile, openStaging } from '../../host/index.ts'
import type { ImagesContext } from '../images-context.ts'
import { findKeptLower } from '../kept/find-kept-lower.ts'
import type { LongWork } from '../long-work.ts'
import { type AssembleRootfs, assembleRootfs } from './assemble-rootfs.ts'
import { hashLeaves } from './hash-leaves.ts'
import { type KeptRecord, readKeptRecord } from './kept-record.ts'
import { findLocalParts } from './local-parts.ts'
import { noteKept } from './note-kept.ts'
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
  const { rootfs: published, reference, publishedAs } = request
  const { indexBytes } = published
  const note = () => noteKept(layout, { manifest, reference, publishedAs, indexBytes, staging: staging.path })
  if (await isKept(context, request)) return await leases.removal(note)
  using local = await findLocalParts(context, rootfs, staging.path)
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
    if (await isKept(context, request)) return await note()
    request.onInstall()
    await note()
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

function anotherLower(manifest: Digest, record: KeptRecord | 'none'): Problem {
  const where = record === 'none' ? 'was built here' : `came from ${record.reference}`
  return new Problem('DIGEST_MISMATCH', `the rootfs is not the one of image ${shortDigest(manifest)} that ${where}`, {
    hint: `to know which is right, get the layers: cowshed image pull --with-layers; or remove the image that is here: cowshed image rm ${shortDigest(manifest)}`,
    data: { manifest },
  })
}
