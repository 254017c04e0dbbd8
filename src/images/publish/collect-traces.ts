import { basename } from 'node:path'
import { type DataLayout, isProblem, Problem, printable, problemFromSystem } from '../../base/index.ts'
import {
  bootTraceLimits,
  decodeBootTrace,
  documentKind,
  encodeBootTrace,
  isTraceName,
  type PublishedTrace,
  parseIndex,
  parseManifest,
  parseRootfsManifest,
  rootfsMembers,
  type TracedLower,
} from '../../formats/index.ts'
import { readSmallFile } from '../../host/index.ts'
import { listBootTraces } from '../../lazy/index.ts'
import type { Repository } from '../../wires/index.ts'

export interface CollectTraces {
  readonly layout: DataLayout
  readonly lower: TracedLower
  /** Files that were named, which go before all others. */
  readonly files: readonly string[]
  /** Where an earlier publication may have some. */
  readonly repository: Pick<Repository, 'readManifest'>
  readonly tag: string
  readonly signal?: AbortSignal | undefined
}

export interface CollectedTraces {
  /** To be sent, by name. */
  readonly own: ReadonlyMap<string, Buffer>
  /** That the repository has already. */
  readonly there: readonly PublishedTrace[]
}

/**
 * The boot traces that a lower is published with: those in files, those that boots on this host have left, and those that the tag has for the same lower, of each name the
 * first.
 *
 * @throws Problem FILE_NOT_FOUND, BOOT_TRACE_INVALID, INVALID_REQUEST for a file that is no trace of this lower; what the registry's client throws
 */
export async function collectTraces(request: CollectTraces): Promise<CollectedTraces> {
  const { layout, lower, files } = request
  const own = new Map<string, Buffer>()
  for (const { name, trace } of await listBootTraces(layout, lower)) own.set(name, encodeBootTrace(trace))
  for (const path of files) own.set(nameOf(path), await readTraceFile(path, lower))
  const there = (await publishedTraces(request)).filter(({ name }) => !own.has(name))
  return { own, there }
}

function nameOf(path: string): string {
  const name = basename(path).replace(/\.trace$/, '')
  if (isTraceName(name)) return name
  throw new Problem('INVALID_REQUEST', `a boot trace cannot be called ${JSON.stringify(name.slice(0, 80))}`, {
    hint: 'its name is that of its file, of lower-case letters, digits, dots and dashes',
  })
}

async function readTraceFile(path: string, lower: TracedLower): Promise<Buffer> {
  try {
    const bytes = await readSmallFile(path, { maxBytes: bootTraceLimits.bytes })
    decodeBootTrace(bytes, lower)
    return bytes
  } catch (error) {
    if (!isProblem(error)) throw problemFromSystem(error, `read ${path}`)
    throw new Problem(error.code, `${printable(path)}: ${error.message}`, {
      hint: 'a trace is of one image in one profile: record it from what is published here, as docs/lazy.md says',
      cause: error,
    })
  }
}

/** What a tag has for the same lower, whatever image it was published with. */
async function publishedTraces({ repository, tag, lower, signal }: CollectTraces): Promise<readonly PublishedTrace[]> {
  try {
    const { descriptor, bytes } = await repository.readManifest(tag, { signal })
    if (documentKind(descriptor.mediaType) !== 'index') return []
    for (const { digest, mediaType } of rootfsMembers(parseIndex(bytes, descriptor.mediaType))) {
      const member = await repository.readManifest(digest, { signal })
      const { chunkIndex, traces } = parseRootfsManifest(parseManifest(member.bytes, mediaType))
      if (chunkIndex.digest === lower.chunkIndex) return traces
    }
    return []
  } catch (error) {
    // What is damaged there is replaced.
    if (isProblem(error, 'REGISTRY_NOT_FOUND') || isProblem(error, 'IMAGE_INVALID')) return []
    throw error
  }
}
