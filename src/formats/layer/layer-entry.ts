import type { Digest } from '../../base/index.ts'

/**
 * One member of a layer as it is kept in the layer's index: everything of the tar entry but the content of larger files, of which it says
 * where in the layer's data blob they are. Whiteouts are members like any other: what they mean is decided when layers are flattened.
 */
export type LayerEntry = LayerEntryAttributes &
  (
    | { readonly type: 'file'; readonly size: number; readonly content: LayerContent }
    | { readonly type: 'hardlink'; readonly linkTarget: Buffer }
    | { readonly type: 'symlink'; readonly linkTarget: Buffer }
    | { readonly type: 'char' | 'block'; readonly major: number; readonly minor: number }
    | { readonly type: 'directory' }
    | { readonly type: 'fifo' }
  )

export interface LayerEntryAttributes {
  /** The name as the archive has it, without trailing slashes; may start with `/` or `./`, may hold `..`. */
  readonly path: Buffer
  /** mode & 0o7777 */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Whole seconds since the epoch, floor. */
  readonly mtimeSeconds: number
  readonly mtimeNanoseconds: number
  /** Names are latin1 byte strings. */
  readonly xattrs: readonly { readonly name: string; readonly value: Buffer }[]
}

/** Where a file's bytes are: in the index itself, or from a 4 KiB block of the layer's data blob on. */
export type LayerContent =
  | { readonly kind: 'inline'; readonly bytes: Buffer }
  | { readonly kind: 'blocks'; readonly startBlock: number /** 32 bytes. */; readonly sha256: Buffer }

/** What an index says about its layer besides the entries. */
export interface LayerSummary {
  readonly diffId: Digest
  /** Size of the data blob, in blocks of 4 KiB. */
  readonly dataBlocks: number
  /** What the tar reader passed over and a person may want to know. */
  readonly warnings: readonly string[]
}

export interface LayerIndex extends LayerSummary {
  readonly entryCount: number
  /** In the order of the archive. May be walked more than once; each walk decodes anew, so that an index is never in memory as objects. */
  readonly entries: Iterable<LayerEntry>
}
