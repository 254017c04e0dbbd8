import { type DataLayout, type Digest, shortDigest } from '../../base/index.ts'
import type { LazyUse } from '../../lazy/index.ts'
import { pinnedReason } from '../../state/index.ts'
import type { DiskFile } from '../disk-file.ts'
import type { Inventory } from '../inventory.ts'

/** A lower that is partly here, and goes as a whole: what comes again of it is fetched again. */
export interface LazyEntry {
  readonly kind: 'lazy'
  readonly chunkIndex: Digest
  /** What it was asked for as. */
  readonly name: string
  readonly files: readonly DiskFile[]
  /** Milliseconds since the epoch. */
  readonly lastUsedAt: number
  /** Of the image, when something says what it is of. */
  readonly manifests: readonly Digest[]
  /** Why it cannot go; undefined when nobody reads it. */
  readonly keptBy: string | undefined
}

export interface ListLazyEntries {
  readonly inventory: Pick<Inventory, 'lazy' | 'sheds'>
  readonly lazy: readonly LazyUse[]
  /** The manifests of pinned images, and what those are called. */
  readonly pinned: ReadonlyMap<string, string>
  readonly layout: DataLayout
}

/** Every lower that is partly here, as what a prune may remove. */
export function lazyEntries(given: ListLazyEntries): LazyEntry[] {
  return given.lazy.map((use) => {
    const { dir } = given.layout.lazyLower(use.chunkIndex)
    const files = given.inventory.lazy.filter(({ path }) => path.startsWith(`${dir}/`))
    return {
      kind: 'lazy',
      chunkIndex: use.chunkIndex,
      name: use.source?.reference ?? shortDigest(use.chunkIndex),
      files,
      lastUsedAt: Math.max(0, ...files.map(({ modifiedAt }) => modifiedAt)),
      manifests: use.source === undefined ? [] : [use.source.manifest_digest],
      keptBy: whyKept(use, given),
    }
  })
}

function whyKept({ chunkIndex, source, isOpen }: LazyUse, { inventory, pinned }: ListLazyEntries): string | undefined {
  if (isOpen) return 'it is being served'
  const reader = inventory.sheds.find(({ shed }) => shed.lazy?.chunk_index_digest === chunkIndex)
  if (reader !== undefined) return `shed ${reader.shed.name} reads it`
  const image = source && pinned.get(source.manifest_digest)
  return image === undefined ? undefined : pinnedReason('image', image)
}
