import type { Digest } from '../../base/index.ts'
import { type StagedBlob, stageBlob } from '../../blobs/index.ts'
import type { RemoteManifest } from '../../wires/index.ts'
import type { IsPresent } from '../load/presence.ts'

interface StageDocuments {
  readonly staging: string
  readonly isPresent: IsPresent
}

/** Documents that the store does not have, as blobs that it can install. */
export async function stageDocuments(
  documents: readonly RemoteManifest[],
  { staging, isPresent }: StageDocuments,
): Promise<Map<Digest, StagedBlob>> {
  const staged = new Map<Digest, StagedBlob>()
  for (const { descriptor, bytes } of documents) {
    const { digest, size } = descriptor
    if (await isPresent(digest, size)) continue
    const source = (async function* () {
      yield bytes
    })()
    staged.set(digest, await stageBlob({ staging, digest, size, source }))
  }
  return staged
}
