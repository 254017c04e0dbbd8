import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { type DataLayout, type Digest, shortDigest } from '../../base/index.ts'
import type { RootfsPart, StoredPart } from '../../formats/index.ts'
import { cachedLayer } from '../lowers/write-bootstrap.ts'
import { layerChunks } from './part-chunks.ts'
import { findBlob, type SendTo, type Sent, sendBlob } from './send-blob.ts'
import { storePart } from './store-part.ts'
import { compressorName, type LayerData, readStoredLayer, type StoredLayer, writeStoredLayer } from './stored-layer.ts'

export interface SendLayerData extends LayerData {
  readonly to: SendTo
  /** Of the data blob. */
  readonly lowerBytes: number
  /** A file that does not exist yet, for the compressed blob on its way. */
  readonly staged: string
}

export interface SentPart extends RootfsPart {
  readonly diffId: Digest
  readonly part: StoredPart
  readonly sent: Sent
}

/**
 * Makes a repository have a layer's data blob, compressed. It is compressed only when the registry does not have what an earlier publication
 * made of it.
 *
 * @throws Problem as storePart does, LAYER_INVALID, and what the registry's client throws
 */
export async function sendLayerData(layout: DataLayout, request: SendLayerData): Promise<SentPart> {
  const { to, diffId, profile, lowerBytes } = request
  const known = await usableRecord(layout, request)
  const found = known && (await findBlob(to, { digest: known.part.digest, mountFrom: repositoriesOf(known) }))
  const { stored, sent } =
    known && found ? { stored: known, sent: found } : await compressAndSend(layout, request, known)
  const { registry, path } = to.repository.name
  await writeStoredLayer(layout, { diffId, profile, stored, repository: `${registry}/${path}` })
  return { digest: stored.part.digest, size: stored.storedBytes, lowerBytes, diffId, part: stored.part, sent }
}

async function usableRecord(
  layout: DataLayout,
  { lowerBytes, ...layer }: SendLayerData,
): Promise<StoredLayer | undefined> {
  const record = await readStoredLayer(layout, layer)
  const bytes = record?.part.lengths.reduce((sum, length) => sum + length, 0)
  return bytes === lowerBytes ? record : undefined
}

async function compressAndSend(
  layout: DataLayout,
  { to, diffId, profile, lowerBytes, staged }: SendLayerData,
  known: StoredLayer | undefined,
): Promise<{ stored: StoredLayer; sent: Sent }> {
  const item = shortDigest(diffId)
  const { storedBytes, ...part } = await storePart({
    from: layout.layerData(diffId, profile),
    lengths: await layerChunks(cachedLayer(layout, diffId, profile)),
    to: staged,
    onBytes: (done) => to.onProgress?.({ phase: 'compress', item, done, total: lowerBytes }),
    signal: to.signal,
  })
  const { digest } = part
  const isSame = known?.part.digest === digest
  const stored = { part, storedBytes, compressor: compressorName(), repositories: isSame ? known.repositories : [] }
  const sent = await sendBlob(to, {
    digest,
    size: storedBytes,
    open: (start) => createReadStream(staged, { start }),
    mountFrom: [],
  })
  // The next layer needs the room.
  await rm(staged, { force: true })
  return { stored, sent }
}

function repositoriesOf({ repositories }: StoredLayer) {
  return repositories.map((name) => {
    const slash = name.indexOf('/')
    return { registry: name.slice(0, slash), path: name.slice(slash + 1) }
  })
}
