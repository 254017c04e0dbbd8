import { dialectOf, type Field, numberField } from './header-block.ts'
import type { Segment } from './sparse-map.ts'
import { tarInvalid } from './tar-invalid.ts'

/**
 * The sparse form of typeflag `S`: four segments in the header and 21 in each extension block that follows it.
 *
 * @see GNU tar manual, "Old GNU Format"; tar(5), "GNU tar archives"
 */
export interface OldGnuSparse {
  readonly segments: readonly Segment[]
  /** Whether an extension block follows. */
  readonly extended: boolean
}

export interface OldGnuHeader extends OldGnuSparse {
  readonly realSize: number
}

const realSizeField: Field = { name: 'real size', at: 483, length: 12 }

export function oldGnuHeader(header: Buffer): OldGnuHeader {
  if (dialectOf(header) !== 'gnu') throw tarInvalid('a sparse file of a form that is not known')
  const realSize = numberField(header, realSizeField)
  if (realSize < 0) throw tarInvalid('the real size of the sparse file is negative')
  return { realSize, ...entries(header, { at: 386, count: 4, extendedAt: 482 }) }
}

export function oldGnuExtension(block: Buffer): OldGnuSparse {
  return entries(block, { at: 0, count: 21, extendedAt: 504 })
}

interface Entries {
  readonly at: number
  readonly count: number
  readonly extendedAt: number
}

function entries(block: Buffer, { at, count, extendedAt }: Entries): OldGnuSparse {
  const segments: Segment[] = []
  for (let entry = at; entry < at + count * 24; entry += 24) {
    // An unused entry starts with a NUL, and so do all after it.
    if (block[entry] === 0) break
    segments.push({
      offset: numberField(block, { name: 'sparse offset', at: entry, length: 12 }),
      length: numberField(block, { name: 'sparse length', at: entry + 12, length: 12 }),
    })
  }
  return { segments, extended: block[extendedAt] !== 0 }
}
