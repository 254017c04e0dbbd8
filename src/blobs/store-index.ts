import { isProblem, Problem } from '../base/index.ts'
import { type Descriptor, documentLimits, type JsonObject, parseDescriptor, parseJsonObject } from '../formats/index.ts'

/** Where tags are kept: image-spec annotations.md. */
export const refNameAnnotation = 'org.opencontainers.image.ref.name'

/** One member of index.json. */
export interface StoreIndexEntry {
  /** As it stands in the file: it is written back as it is. */
  readonly raw: unknown
  /** Undefined when it is not understood: others may keep what they like in a layout. */
  readonly descriptor: Descriptor | undefined
  /** What its ref.name annotation says. */
  readonly refName: string | undefined
}

/** The index.json of a layout. */
export interface StoreIndex {
  /** All other fields of the file. */
  readonly rest: JsonObject
  readonly entries: readonly StoreIndexEntry[]
}

export const emptyStoreIndex: StoreIndex = {
  rest: { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json' },
  entries: [],
}

/**
 * Reads an index.json without refusing members that are not understood.
 *
 * @throws Problem RECORD_INVALID naming the file
 */
export function parseStoreIndex(bytes: Uint8Array, path: string): StoreIndex {
  const { manifests, ...rest } = parseFile(bytes, path)
  if (!Array.isArray(manifests) && manifests !== undefined && manifests !== null) {
    throw new Problem('RECORD_INVALID', `${path} is not an index: its manifests are not a list`)
  }
  return { rest, entries: (manifests ?? []).map(storeIndexEntry) }
}

/** An entry of a JSON value. */
export function storeIndexEntry(raw: unknown): StoreIndexEntry {
  const descriptor = understood(raw)
  return { raw, descriptor, refName: descriptor?.annotations?.[refNameAnnotation] }
}

export function formatStoreIndex({ rest, entries }: StoreIndex): string {
  return `${JSON.stringify({ ...rest, manifests: entries.map((entry) => entry.raw) })}\n`
}

function parseFile(bytes: Uint8Array, path: string): JsonObject {
  try {
    return parseJsonObject(bytes, { noun: path, maxBytes: documentLimits.index })
  } catch (error) {
    throw new Problem('RECORD_INVALID', `${path} cannot be read: ${error instanceof Error ? error.message : error}`, {
      hint: 'restore it, or make it anew with skopeo: every image that it lists is still in blobs/',
      cause: error,
    })
  }
}

function understood(raw: unknown): Descriptor | undefined {
  try {
    return parseDescriptor(raw)
  } catch (error) {
    if (isProblem(error)) return undefined
    throw error
  }
}
