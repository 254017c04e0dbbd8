import type { Accuracy } from '../../host/index.ts'
import type { Bytes } from './space.ts'

/** A file as lstat(2) showed it: each once, whatever number of names it has. */
export interface MeasuredFile {
  readonly path: string
  /** st_dev, st_ino. */
  readonly device: number
  readonly inode: number
  readonly logicalBytes: number
  readonly allocatedBytes: number
  /** st_ctime, milliseconds since the epoch with what a number can hold of the fraction. */
  readonly changedAt: number
  /** It has more names than those that are known: it stays when those go. */
  readonly namedElsewhere: boolean
  /** See ExtentFile. */
  readonly locked?: boolean
}

/** Whose the files are: for each file, by its place in the list, its owners. Without any it belongs to what stays. */
export interface Ownership {
  /** How many owners there are: 0, 1, 2, … */
  readonly owners: number
  readonly ofFile: readonly (readonly number[])[]
}

export interface MeasureRequest {
  readonly files: readonly MeasuredFile[]
  /** Nothing that was read before is believed: for what is to be acted on. */
  readonly fresh: boolean
  readonly ownerships: readonly Ownership[]
  /** One owner of the first ownership whose company is wanted in full. */
  readonly explain?: number | undefined
}

/** What some owners have on disk. All arrays go by owner. */
export interface OwnersSpace {
  /** Freed if it alone went. */
  readonly exclusive: readonly Bytes[]
  /** Exclusive or not. */
  readonly held: readonly Bytes[]
  /** Freed by each when 0, 1, 2, … go in this order. */
  readonly marginal: readonly Bytes[]
  /** The few with whom it shares most. */
  readonly closest: readonly (readonly number[])[]
}

export interface Measurement {
  readonly accuracy: Accuracy
  /** All of it, each byte once. */
  readonly union: Bytes
  /** Freed if this file alone went, by file. */
  readonly files: readonly Bytes[]
  /** As asked for. */
  readonly ownerships: readonly OwnersSpace[]
  readonly explained?: ReadonlyMap<number, Bytes>
  /** What xfs holds ready for writes to shared blocks of these files, as near as can be known. */
  readonly reservedBytes: number
  /** Whether a file that is not among these is overlooked where two of them share with it. */
  readonly overlooks: boolean
}
