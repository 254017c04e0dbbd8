import { type DataLayout, DigestHasher, digestAlgorithm, Problem } from '../../base/index.ts'
import {
  type BootTrace,
  decodeBootTrace,
  isTraceName,
  type PublishedTrace,
  type TracedLower,
} from '../../formats/index.ts'
import type { ReadStored } from '../fetch/part-origins.ts'
import { readBootTrace } from './trace-files.ts'

/** The one that is recorded by itself. */
export const defaultTrace = 'boot'
/** The first boots of an image, which its trace is made of. */
const recordedBoots = 3

export interface OpenTrace {
  readonly layout: DataLayout
  readonly lower: TracedLower
  readonly name: string
  /** What came with the image. */
  readonly published: readonly PublishedTrace[]
  readonly readStored: ReadStored
  readonly signal: AbortSignal
}

export interface OpenedTrace {
  /** What is to be fetched ahead; undefined when nothing is known, or what is known cannot be had. Never rejects. */
  readonly replay: Promise<BootTrace | undefined>
  /** What this boot is to be added to; undefined when it need not be recorded. */
  readonly record: BootTrace | undefined
}

/** The trace that came with an image, or what its first boots here have left, to which this one is added. @throws Problem INVALID_REQUEST for what is no name of a trace */
export async function openTrace(options: OpenTrace): Promise<OpenedTrace> {
  const { layout, lower, name, published } = options
  if (!isTraceName(name)) {
    throw new Problem('INVALID_REQUEST', `a boot trace cannot be called ${JSON.stringify(name.slice(0, 80))}`, {
      hint: 'lower-case letters, digits, dots and dashes: --trace web',
    })
  }
  const descriptor = published.find((one) => one.name === name)
  if (descriptor !== undefined) {
    return { replay: fetchTrace(options, descriptor).catch(() => undefined), record: undefined }
  }
  const known = await readBootTrace(layout, lower, name)
  const earlier = known ?? { chunkIndex: lower.chunkIndex, boots: 0, runs: [] }
  return { replay: Promise.resolve(known), record: earlier.boots < recordedBoots ? earlier : undefined }
}

async function fetchTrace({ lower, readStored, signal }: OpenTrace, { digest, size }: PublishedTrace) {
  const hasher = new DigestHasher(digestAlgorithm(digest))
  const pieces: Buffer[] = []
  for await (const piece of readStored({ digest, size, signal })) {
    hasher.update(piece)
    pieces.push(piece)
  }
  if (hasher.digest() !== digest) throw new Problem('DIGEST_MISMATCH', 'the boot trace is not what its digest says')
  return decodeBootTrace(Buffer.concat(pieces), lower)
}
