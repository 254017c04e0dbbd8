import type { PaxRecord } from './pax-records.ts'
import { paxInteger } from './pax-values.ts'
import { checkSegmentCount, type Segment, type SparseMap } from './sparse-map.ts'
import { limitExceeded, tarInvalid } from './tar-invalid.ts'
import type { TarLimits } from './tar-limits.ts'

/**
 * The three sparse forms that GNU tar keeps in PAX records. In 0.0 and 0.1 the records hold the map; in 1.0 the map is text at the start of
 * the body, in whole blocks.
 *
 * @see GNU tar manual, "Storing Sparse Files"
 */
export type PaxSparse = SparseMap | { readonly realSize: number; readonly segments: 'in the body' }

const prefix = 'GNU.sparse.'

/** What the records say about holes; undefined when the file is an ordinary one. */
export function paxSparse(records: readonly PaxRecord[]): PaxSparse | undefined {
  const own = records.filter(({ key }) => key.startsWith(prefix))
  if (own.length === 0) return undefined
  const find = (name: string) => own.findLast(({ key }) => key === prefix + name)?.value.toString('latin1')
  const version = `${find('major') ?? '0'}.${find('minor') ?? 'x'}`
  const size = find('realsize') ?? find('size')
  if (size === undefined) throw tarInvalid('a sparse file without its real size')
  const realSize = paxInteger(size, 'GNU.sparse.size')
  if (version === '1.0') return { realSize, segments: 'in the body' }
  if (!['0.x', '0.0', '0.1'].includes(version)) throw tarInvalid(`sparse files of version ${version} are not known`)
  const segments = mapOf(find('map')) ?? pairsOf(own)
  const count = find('numblocks')
  if (count !== undefined && paxInteger(count, 'GNU.sparse.numblocks') !== segments.length) {
    throw tarInvalid('the map of the sparse file has not as many segments as it says')
  }
  return { realSize, segments }
}

/** 0.1: offset,length,offset,length … */
function mapOf(text: string | undefined): Segment[] | undefined {
  if (text === undefined) return undefined
  const numbers = text === '' ? [] : text.split(',').map((number) => paxInteger(number, 'GNU.sparse.map'))
  if (numbers.length % 2 !== 0) throw tarInvalid('the map of the sparse file ends within a segment')
  return Array.from({ length: numbers.length / 2 }, (_, i) => ({
    offset: numbers[2 * i] ?? 0,
    length: numbers[2 * i + 1] ?? 0,
  }))
}

/** 0.0: a pair of records for each segment. */
function pairsOf(records: readonly PaxRecord[]): Segment[] {
  const segments: Segment[] = []
  let offset: number | undefined
  for (const { key, value } of records) {
    if (key === 'GNU.sparse.offset') {
      if (offset !== undefined) throw tarInvalid('the map of the sparse file has an offset without length')
      offset = paxInteger(value.toString('latin1'), key)
    } else if (key === 'GNU.sparse.numbytes') {
      if (offset === undefined) throw tarInvalid('the map of the sparse file has a length without offset')
      segments.push({ offset, length: paxInteger(value.toString('latin1'), key) })
      offset = undefined
    }
  }
  if (offset !== undefined) throw tarInvalid('the map of the sparse file has an offset without length')
  return segments
}

/**
 * The map of form 1.0, block by block: the number of segments, then the offset and the length of each, every number on a line of its own.
 */
export class SparseMapText {
  readonly segments: Segment[] = []
  /** Bytes of the body that the map has taken so far. */
  bytes = 0
  readonly #limits: TarLimits
  #digits = ''
  #count: number | undefined
  #offset: number | undefined

  constructor(limits: TarLimits) {
    this.#limits = limits
  }

  /** Takes the next block; true when the map is complete. */
  push(block: Buffer): boolean {
    this.bytes += block.length
    if (this.bytes > this.#limits.maxSparseMapBytes) {
      throw limitExceeded(`the map of the sparse file has more than ${this.#limits.maxSparseMapBytes} bytes`)
    }
    for (const byte of block) {
      if (this.#isComplete()) return true
      if (byte === 0x0a) this.#line()
      else this.#digit(byte)
    }
    return this.#isComplete()
  }

  #isComplete(): boolean {
    return this.segments.length === this.#count
  }

  #digit(byte: number): void {
    if (byte < 0x30 || byte > 0x39 || this.#digits.length === 16)
      throw tarInvalid('the map of the sparse file is not made of numbers')
    this.#digits += String.fromCharCode(byte)
  }

  #line(): void {
    const number = paxInteger(this.#digits, 'of the sparse map')
    this.#digits = ''
    if (this.#count === undefined) {
      checkSegmentCount(number, this.#limits)
      this.#count = number
    } else if (this.#offset === undefined) this.#offset = number
    else {
      this.segments.push({ offset: this.#offset, length: number })
      this.#offset = undefined
    }
  }
}
