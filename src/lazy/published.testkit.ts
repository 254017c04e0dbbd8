import { type Digest, digestOf } from '../base/index.ts'
import { type ChunkIndex, LeafHasher, type StoredPart } from '../formats/index.ts'
import { zstdFrames } from '../host/index.ts'
import type { ReadBlob } from '../wires/index.ts'
import { keystream } from '../wires/registry/registry.testkit.ts'

/** A lower as it was published: what it is, and how it is stored. */
export interface PublishedLower {
  readonly lower: Buffer
  readonly index: ChunkIndex
  readonly blobs: ReadonlyMap<Digest, Buffer>
}

const block = 4096

/** Three parts, whose chunks begin and end anywhere in leaves, with a stretch of zeros as long as several leaves; the last leaf is short. */
export async function publishedLower(seed = 1): Promise<PublishedLower> {
  const bootstrap = keystream(37 * block, seed)
  const first = Buffer.concat([
    keystream(300 * block, seed + 1),
    Buffer.alloc(150 * block),
    keystream(211 * block, seed + 2),
  ])
  const second = keystream(523 * block, seed + 3)
  return await publish([
    [bootstrap, [20, 17]],
    [first, [16, 61, 256, 23, 200, 105]],
    [second, [90, 1, 17, 255, 64, 96]],
  ])
}

/** Any bytes that are a multiple of 4 KiB: a little of them as bootstrap, and one part. */
export async function publishBytes(bytes: Buffer): Promise<PublishedLower> {
  const rest = bytes.length / block - 20
  const sizes = Array.from({ length: Math.floor(rest / 150) }, () => 150)
  return await publish([
    [bytes.subarray(0, 20 * block), [20]],
    [bytes.subarray(20 * block), [...sizes, rest % 150].filter((size) => size > 0)],
  ])
}

/** @param parts each with the blocks of its chunks */
async function publish(parts: readonly (readonly [Buffer, readonly number[]])[]): Promise<PublishedLower> {
  const stored = await Promise.all(parts.map(([bytes, blocks]) => store(bytes, blocks)))
  const lower = Buffer.concat(parts.map(([bytes]) => bytes))
  const hasher = new LeafHasher()
  hasher.update(lower)
  const index = { writerVersion: 2, profile: 'plain', parts: stored.map(({ part }) => part), leaves: hasher.finish() }
  return { lower, index, blobs: new Map(stored.map(({ part, blob }) => [part.digest, blob])) }
}

/** 32 MiB, of small files that went into chunks together, and of large ones in chunks of 1 MiB. */
export async function largeLower(): Promise<PublishedLower> {
  const bytes = [keystream(64 * block, 1), keystream(4096 * block, 2), keystream(4096 * block, 3)]
  const chunks = [[64], Array<number>(64).fill(64), Array<number>(16).fill(256)]
  const parts = await Promise.all(bytes.map((part, at) => store(part, chunks[at] ?? [])))
  const lower = Buffer.concat(bytes)
  const hasher = new LeafHasher()
  hasher.update(lower)
  const index = { writerVersion: 2, profile: 'plain', parts: parts.map(({ part }) => part), leaves: hasher.finish() }
  return { lower, index, blobs: new Map(parts.map(({ part, blob }) => [part.digest, blob])) }
}

/** @param blocks of each chunk */
async function store(bytes: Buffer, blocks: readonly number[]): Promise<{ part: StoredPart; blob: Buffer }> {
  const lengths = blocks.map((count) => count * block)
  const frames: Buffer[] = []
  for await (const frame of zstdFrames(cut(bytes, lengths), 3)) frames.push(frame)
  const blob = Buffer.concat(frames)
  const stored = Uint32Array.from(frames, ({ length }) => length)
  return { blob, part: { digest: digestOf(blob), lengths: Uint32Array.from(lengths), storedLengths: stored } }
}

async function* cut(bytes: Buffer, lengths: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0
  for (const length of lengths) {
    yield Buffer.from(bytes.subarray(at, at + length))
    at += length
  }
}

/** What becomes of one request: the bytes that it would have, changed; or an error. */
export type Answer = (bytes: Buffer, request: ReadBlob) => Buffer | Promise<Buffer>

/** Bytes of which a range can be had. */
export interface RangedBytes {
  subarray(from: number, until: number): Buffer
}

export interface StoredBlobs {
  readonly blobs: ReadonlyMap<Digest, RangedBytes>
}

/** A registry in memory. */
export class FakeRegistry {
  readonly requests: ReadBlob[] = []
  /** Of the requests that come next, in order; then all is well. */
  readonly answers: Answer[] = []
  /** Of every other request. */
  always: Answer = (bytes) => bytes
  readonly #blobs: ReadonlyMap<Digest, RangedBytes>

  constructor({ blobs }: StoredBlobs) {
    this.#blobs = blobs
  }

  read = async function* (this: FakeRegistry, request: ReadBlob): AsyncGenerator<Buffer> {
    this.requests.push(request)
    const { digest, from = 0, until = Number.POSITIVE_INFINITY } = request
    const asked = this.#blobs.get(digest)?.subarray(from, until) ?? Buffer.alloc(0)
    const answer = this.answers.shift() ?? this.always
    const bytes = await untilAborted(answer(asked, request), request.signal)
    for (let at = 0; at < bytes.length; at += 50_000) {
      await new Promise((resolve) => setImmediate(resolve))
      yield bytes.subarray(at, at + 50_000)
    }
  }.bind(this)
}

async function untilAborted(answer: Buffer | Promise<Buffer>, signal: AbortSignal | undefined): Promise<Buffer> {
  if (Buffer.isBuffer(answer) || signal === undefined) return await answer
  signal.throwIfAborted()
  const aborted = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  aborted.catch(() => {})
  return await Promise.race([answer, aborted])
}
