import { type DataLayout, type Digest, isDigest, isProblem, Problem, shortDigest } from '../../base/index.ts'
import { type ChunkIndex, leafBytes, leafHashBytes } from '../../formats/index.ts'
import type { FileLock } from '../../host/index.ts'
import {
  type FoundManifest,
  type FoundRootfs,
  findKeptAs,
  findPlainLower,
  findPublishedRootfs,
  noteFound,
  noteFoundPlain,
  openLocalParts,
} from '../../images/index.ts'
import {
  BlobsAhead,
  defaultTrace,
  holdLazyDirectory,
  type LazySource,
  listLazyLowers,
  noteWhole,
  openLazyLower,
  openTrace,
  type ReadStored,
  readLazyIndex,
  readStoredIndex,
  type StoredIndex,
  TraceKeeper,
} from '../../lazy/index.ts'
import { openPlain } from './attach-plain.ts'
import type { AttachedLazy, AttachLazy } from './attached-lazy.ts'

/** What the first chunk of a layer takes, as it is stored, unless it is of a large file. */
const firstChunkBytes = 128 * 1024

/**
 * Opens the lower of a published image with its bootstrap here; the rest comes when it is read. The registry says what the reference stands for; when it cannot be asked,
 * what it stood for the last time counts.
 *
 * @throws Problem as findPublishedRootfs and openLazyLower do
 */
export async function attachLazy(request: AttachLazy): Promise<AttachedLazy> {
  const { layout, registries, trace: name = defaultTrace, policy, listener, signal } = request
  const opened: (() => PromiseLike<void> | void)[] = []
  const close = async () => {
    for (let step = opened.pop(); step !== undefined; step = opened.pop()) await step()
  }
  const ahead = new BlobsAhead()
  opened.push(() => ahead[Symbol.dispose]())
  try {
    const { chunkIndex, index, source, lock, written } = await identify(request, ahead)
    opened.push(async () => {
      await written?.catch(() => {})
      lock.release()
    })
    if (index === undefined) {
      // What is kept of it, once it is whole, is found by that.
      await written
      return await openPlain(request, { chunkIndex, source, opened, close })
    }
    // A lower that is whole by now needs no cache beside it.
    const kept = await findKeptAs(layout, source.manifest_digest, chunkIndex)
    const data = kept === undefined ? source.data.map(partOf) : []
    const local = await openLocalParts(layout, { chunkIndex, profile: source.profile, data })
    opened.push(() => local[Symbol.asyncDispose]())
    const repository = registries.repository(source.repository, { plainHttp: source.plain_http || undefined })
    const readStored = ahead.before((blob) => repository.readBlob(blob))
    const closing = new AbortController()
    opened.push(() => closing.abort())
    const { replay, record } = await openTrace({
      ...{ layout, name, readStored, signal: closing.signal },
      published: (kept === undefined && source.traces) || [],
      lower: { chunkIndex, leaves: index.leaves.length / leafHashBytes },
    })
    const lower = await openLazyLower({
      ...{ index, local: local.found, readStored, policy, listener, trace: replay, signal },
      path: kept?.path ?? layout.lazyLower(chunkIndex).data,
      isFinal: kept !== undefined,
    })
    opened.push(() => lower[Symbol.asyncDispose]())
    void replay.then(() => ahead.forget())
    await written
    if (record !== undefined) {
      const keeper = new TraceKeeper({ layout, name, earlier: record, touched: () => lower.touched })
      opened.push(() => keeper[Symbol.asyncDispose]())
    }
    const whole = kept === undefined ? lower.whole.then(() => noteWhole(layout, chunkIndex)) : lower.whole
    whole.catch(onNotNoted(request))
    opened.push(async () => {
      if (lower.leaves.missing === 0) await whole.catch(() => {})
    })
    return { whole, lower, source, chunkIndex, isUnverified: false, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

/** It is whole all the same, and the next process that sees it so tries again. */
function onNotNoted({ onNotice }: AttachLazy): (error: unknown) => void {
  return (error) => onNotice(`all of it is here, and cannot be made durable: ${messageOf(error)}`)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

interface Identified {
  readonly chunkIndex: Digest
  /** Of one that is a single blob there is none, and `chunkIndex` is the digest of its manifest. */
  readonly index: ChunkIndex | undefined
  readonly source: LazySource
  /** Its directory is not removed meanwhile. */
  readonly lock: FileLock
  /** Resolved when what was found is written down; it can be read before. */
  readonly written?: Promise<void> | undefined
}

/** @param ahead what will be read first is asked for as soon as it is known */
async function identify(request: AttachLazy, ahead: BlobsAhead): Promise<Identified> {
  if (isDigest(request.reference)) return await known(request, request.reference)
  try {
    return await lookUp(request, ahead)
  } catch (error) {
    if (!isProblem(error) || !isOfRegistry(error)) throw error
    const known = await recall(request)
    if (known === undefined) throw error
    request.onNotice(`${error.message}; what ${request.reference} stood for the last time is served`)
    return known
  }
}

async function lookUp(request: AttachLazy, ahead: BlobsAhead): Promise<Identified> {
  const onManifest = (found: FoundManifest) => askAhead(request, found, ahead)
  try {
    return await note(request, await findPublishedRootfs({ ...request, ref: request.reference, onManifest }))
  } catch (error) {
    if (!isProblem(error, 'IMAGE_UNSUPPORTED')) throw error
    const plain = await findPlainLower({ ...request, ref: request.reference })
    if (plain === undefined) throw error
    const { layout, reference, insecure } = request
    return { ...(await noteFoundPlain(layout, plain, { reference, insecure })), index: undefined }
  }
}

/** Asks for the boot trace and, when nothing is here of the lower, for its bootstrap, which will be read as soon as the chunk index says what they must be. @returns that index, when it is here */
async function askAhead(
  { layout, trace: name = defaultTrace }: AttachLazy,
  { repository, manifest }: FoundManifest,
  ahead: BlobsAhead,
): Promise<StoredIndex | undefined> {
  const { subject, chunkIndex, bootstrap, data, traces } = manifest
  const stored = await readStoredIndex(layout, chunkIndex.digest)
  if ((await findKeptAs(layout, subject.digest, chunkIndex.digest)) !== undefined) return stored
  const readStored: ReadStored = (blob) => repository.readBlob(blob)
  const trace = traces.find((one) => one.name === name)
  if (trace !== undefined) ahead.ask(readStored, trace)
  if (stored !== undefined) return stored
  ahead.ask(readStored, bootstrap)
  const [layer] = data
  // The leaf in which the bootstrap ends has the beginning of the first layer in it.
  if (layer !== undefined && bootstrap.lowerBytes % leafBytes > 0) {
    const ask = (isHere: boolean) => isHere || ahead.ask(readStored, layer, firstChunkBytes)
    // The chunk index does not wait for this, and nothing needs it: the lower asks for what it has not got.
    void isLocal(layout, manifest, layer).then(ask, () => {})
  }
  return undefined
}

/** Whether this host has a layer, or some of it. */
async function isLocal(
  layout: DataLayout,
  { chunkIndex, profile }: FoundManifest['manifest'],
  layer: FoundManifest['manifest']['data'][number],
): Promise<boolean> {
  await using local = await openLocalParts(layout, { chunkIndex: chunkIndex.digest, profile, data: [layer] })
  return local.found.size > 0
}

/** It says nothing of the image, only that it cannot be asked now. */
function isOfRegistry({ code }: Problem): boolean {
  return ['REGISTRY_UNREACHABLE', 'REGISTRY_FAILED', 'REGISTRY_UNAUTHORIZED', 'REGISTRY_THROTTLED'].includes(code)
}

/** Writes down what was found, for when the registry cannot be asked. */
async function note({ layout, reference, insecure }: AttachLazy, found: FoundRootfs): Promise<Identified> {
  return { ...(await noteFound(layout, found, { reference, insecure })), index: found.rootfs.index }
}

/** By what was typed then, or by the digest in it. */
async function recall({ layout, reference }: AttachLazy): Promise<Identified | undefined> {
  for (const { chunkIndex, source } of await listLazyLowers(layout)) {
    if (source.reference !== reference && !reference.endsWith(`@${source.published_as}`)) continue
    const lock = await holdLazyDirectory(layout, chunkIndex)
    const index = await readLazyIndex(layout, chunkIndex)
    if (index !== undefined || source.plain === true) return { chunkIndex, index, source, lock }
    lock.release()
  }
  return undefined
}

/** By the digest of its chunk index: what it is, this host knows or nobody does. */
async function known({ layout }: AttachLazy, chunkIndex: Digest): Promise<Identified> {
  const found = (await listLazyLowers(layout)).find((one) => one.chunkIndex === chunkIndex)
  if (found !== undefined) {
    const lock = await holdLazyDirectory(layout, chunkIndex)
    const index = await readLazyIndex(layout, chunkIndex)
    if (index !== undefined || found.source.plain === true) return { ...found, index, lock }
    lock.release()
  }
  throw new Problem('IMAGE_NOT_FOUND', `nothing is here of the chunk index ${shortDigest(chunkIndex)}`, {
    hint: 'say which image it is of: cowshed lazy serve IMAGE; what is partly here: cowshed lazy ls',
  })
}

function partOf({ digest, diff_id, lower_bytes }: LazySource['data'][number]) {
  return { digest, diffId: diff_id, lowerBytes: lower_bytes }
}
