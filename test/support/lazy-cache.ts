import { open, utimes } from 'node:fs/promises'
import { type DataLayout, type Digest, digestOf } from '../../src/base/index.ts'
import { leafBytes } from '../../src/formats/index.ts'
import { holdLazyDirectory, noteLazySource } from '../../src/lazy/index.ts'

export interface LazyCache {
  readonly manifest: Digest
  readonly reference: string
  /** What is here of the lower. */
  readonly data: Buffer
  /** Now, unless told. */
  readonly usedAt?: Date
}

/** Stands for a chunk index: nobody reads it. */
const indexBytes = (reference: string) => Buffer.from(`the chunk index of ${reference}`)

/** What its chunk index is called. */
export function lazyCacheDigest(reference: string): Digest {
  return digestOf(indexBytes(reference))
}

/** What is in the data directory of an image that is read in part. */
export async function makeLazyCache(
  layout: DataLayout,
  { manifest, reference, data, usedAt }: LazyCache,
): Promise<void> {
  const { data: path, record, chunks, lock } = layout.lazyLower(lazyCacheDigest(reference))
  using _held = await holdLazyDirectory(layout, lazyCacheDigest(reference))
  await writeSparse(path, data)
  const source = {
    ...{ version: 1 as const, reference, repository: { registry: 'registry.example', path: 'team/app' } },
    ...{ plain_http: false, published_as: manifest, manifest_digest: manifest, profile: 'plain' as const },
    ...{ lower_bytes: data.length, data: [] },
  }
  await noteLazySource(layout, source, indexBytes(reference))
  if (usedAt !== undefined) for (const file of [path, record, chunks, lock]) await utimes(file, usedAt, usedAt)
}

/** As whoever serves it does: leaves of zeros are never written. */
async function writeSparse(path: string, data: Buffer): Promise<void> {
  await using file = await open(path, 'w')
  await file.truncate(data.length)
  for (let at = 0; at < data.length; at += leafBytes) {
    const leaf = data.subarray(at, at + leafBytes)
    if (leaf.some((byte) => byte !== 0)) await file.write(leaf, 0, leaf.length, at)
  }
}
