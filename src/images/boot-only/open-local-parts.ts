import { type FileHandle, open } from 'node:fs/promises'
import { type DataLayout, type Digest, errnoCode, isProblem, type LowerProfile } from '../../base/index.ts'
import type { FilePart } from '../../host/index.ts'
import type { LocalPart } from '../../lazy/index.ts'
import { publishedParts, unpackedLayer } from './local-parts.ts'

export interface WantedParts {
  /** Of the layers, in order. */
  readonly data: readonly { readonly digest: Digest; readonly diffId: Digest; readonly lowerBytes: number }[]
  readonly profile: LowerProfile
}

export interface OpenedParts extends AsyncDisposable {
  /** By the number of the part in the lower. */
  readonly found: ReadonlyMap<number, LocalPart>
}

/**
 * Opens what this host has of a published rootfs: layers that were unpacked here, and lowers that were published with the same blobs. Open files stay readable
 * when an eviction takes their names, so nothing needs to be held; and nothing is believed of them.
 */
export async function openLocalParts(layout: DataLayout, { data, profile }: WantedParts): Promise<OpenedParts> {
  const files: FileHandle[] = []
  const found = new Map<number, LocalPart>()
  const lowers = await publishedParts({ layout })
  for (const [at, { digest, diffId, lowerBytes }] of data.entries()) {
    const part = (await presentLayer(layout, diffId, profile)) ?? lowers.get(digest)?.part
    if (part?.length !== lowerBytes) continue
    const file = await openIfThere(part)
    if (file === undefined) continue
    files.push(file)
    // The bootstrap comes before them.
    found.set(at + 1, { fd: file.fd, offset: part.offset })
  }
  return {
    found,
    [Symbol.asyncDispose]: async () => {
      for (const file of files) await file.close()
    },
  }
}

/** Undefined also for one that is going just now. */
async function presentLayer(layout: DataLayout, diffId: Digest, profile: LowerProfile): Promise<FilePart | undefined> {
  try {
    return await unpackedLayer({ layout }, diffId, profile)
  } catch (error) {
    if (isProblem(error) || errnoCode(error) !== undefined) return undefined
    throw error
  }
}

async function openIfThere({ path }: FilePart): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (errnoCode(error) !== undefined) return undefined
    throw error
  }
}
