import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Digest, isDigest, isProblem, type Problem } from '../../base/index.ts'
import { openStaging } from '../../host/index.ts'
import { findKeptAs, readKeptChunks } from '../../images/index.ts'
import {
  blobOf,
  type LazyLower,
  type LazySource,
  noteWhole,
  noteWrong,
  openLazyLower,
  openPlainLower,
  readWrong,
  wrongLower,
} from '../../lazy/index.ts'
import type { AttachedLazy, AttachLazy } from './attached-lazy.ts'

export interface OpenPlain {
  /** Of its manifest, which its directory is called by. */
  readonly chunkIndex: Digest
  readonly source: LazySource
  /** What is to be undone, the last first. */
  readonly opened: (() => PromiseLike<void> | void)[]
  readonly close: () => Promise<void>
}

/**
 * Opens a lower that is one blob, and says what that means. Until it is whole it is in staging, where it has one owner: what is there belongs to nobody after a crash, and is fetched again.
 * Who asks for it by its digest gives it to guests, as the daemon has it done: then it is remembered what they were given, and when it is whole, or wrong, that is noted for the daemon.
 *
 * @throws Problem DIGEST_MISMATCH when it is known to be wrong; as openPlainLower does
 */
export async function openPlain(request: AttachLazy, plain: OpenPlain): Promise<AttachedLazy> {
  const { layout, reference, onNotice } = request
  const { chunkIndex, source, opened, close } = plain
  const isForGuests = isDigest(reference)
  const wrong = isForGuests ? await readWrong(layout, chunkIndex) : undefined
  if (wrong !== undefined) throw wrongLower(wrong)
  const kept = await openKept(request, plain)
  if (kept !== undefined) {
    return {
      whole: kept.whole,
      lower: kept,
      source,
      chunkIndex,
      isUnverified: false,
      [Symbol.asyncDispose]: close,
    }
  }
  const staging = await openStaging(layout, 'lazy-plain')
  opened.push(() => staging[Symbol.asyncDispose]())
  const closing = new AbortController()
  const signal = AbortSignal.any([request.signal, closing.signal])
  const { data, given } = layout.lazyLower(chunkIndex)
  const lower = await openPlainLower({
    ...{ digest: blobOf(plain), bytes: source.lower_bytes, signal, ...howToRead(request, source) },
    ...{ path: data, staged: join(staging.path, 'data') },
    ...(isForGuests && { given, onWrong: (problem) => keepNotingWrong(request, { chunkIndex, problem, signal }) }),
  })
  opened.push(
    () => lower[Symbol.asyncDispose](),
    () => closing.abort(),
  )
  const { isUnverified } = lower
  if (isUnverified) onNotice(warning(reference))
  // One that was whole before it was opened is whole now.
  const seen = isUnverified ? lower.whole : Promise.resolve()
  const whole = isForGuests ? seen.then(() => noteWhole(layout, chunkIndex)) : lower.whole
  whole.catch(() => {})
  return { whole, lower, source, chunkIndex, isUnverified, [Symbol.asyncDispose]: close }
}

/** Where it is the lower of its image by now, it is read leaf by leaf as any other. */
async function openKept(
  request: AttachLazy,
  { chunkIndex, source, opened }: OpenPlain,
): Promise<LazyLower | undefined> {
  const { layout, signal } = request
  const kept = await findKeptAs(layout, source.manifest_digest, chunkIndex)
  const index = await readKeptChunks(layout, source.manifest_digest)
  if (kept === undefined || index === undefined) return undefined
  const lower = await openLazyLower({
    ...{ index, path: kept.path, isFinal: true, plain: { hashes: 'known' }, signal },
    ...howToRead(request, source),
  })
  opened.push(() => lower[Symbol.asyncDispose]())
  return lower
}

function howToRead({ registries, policy, listener }: AttachLazy, { repository: name, plain_http }: LazySource) {
  const repository = registries.repository(name, { plainHttp: plain_http || undefined })
  return {
    policy,
    listener,
    readStored: (stored: Parameters<typeof repository.readBlob>[0]) => repository.readBlob(stored),
  }
}

interface NoteWrong {
  readonly chunkIndex: Digest
  readonly problem: Problem
  readonly signal: AbortSignal
}

/** After a note that could not be written, in milliseconds: a disk that is full may have space again. */
const noteAgainMs = 1_000

/** Until it is written, or this process ends: whoever serves it next finds out again. */
async function keepNotingWrong({ layout }: AttachLazy, { chunkIndex, problem, signal }: NoteWrong): Promise<void> {
  while (!signal.aborted) {
    try {
      return await noteWrong(layout, chunkIndex, problem.message)
    } catch (error) {
      if (!isProblem(error)) throw error
      await sleep(noteAgainMs, undefined, { signal }).catch(() => {})
    }
  }
}

function warning(reference: string): string {
  return (
    `WARNING: ${reference} is one erofs image without a chunk index: nothing of it can be verified before all of it is here. It is fetched behind what is read, and then verified; ` +
    'when it is not what was published, reads fail from then on. An image that is verified from the first byte: cowshed image publish'
  )
}
