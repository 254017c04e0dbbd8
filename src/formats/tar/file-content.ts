import type { ByteFeed } from './byte-feed.ts'
import { blockSize } from './header-block.ts'
import type { MemberExtensions } from './member-extensions.ts'
import { type OldGnuHeader, oldGnuExtension, oldGnuHeader } from './old-gnu-sparse.ts'
import { type PaxSparse, paxSparse, SparseMapText } from './pax-sparse.ts'
import { checkSparseMap, type SparseMap } from './sparse-map.ts'
import type { TarHandler } from './tar-entry.ts'
import { limitExceeded, tarInvalid } from './tar-invalid.ts'
import type { TarLimits } from './tar-limits.ts'

/** Where a file's content lies in the archive, once its map, if it has one, is read. */
export interface FileContent {
  /** Bytes of content that the archive holds from here on. */
  readonly storedSize: number
  /** Absent when the archive holds the whole content. */
  readonly map?: SparseMap
}

/** A file with holes: how large it is, and how to get at its map, which may lie in blocks that are still to come. */
export interface SparseForm {
  readonly realSize: number
  readMap(input: MapInput): void
}

export interface MapInput {
  readonly feed: ByteFeed
  /** Bytes that the header says are in the archive. */
  readonly storedSize: number
  readonly limits: TarLimits
  readonly found: (content: Required<FileContent>) => void
}

export interface SparseInput {
  readonly header: Buffer
  readonly typeflag: string
  readonly extensions: MemberExtensions
}

/** The form in which a file's holes are kept; undefined when it has none. */
export function sparseForm({ header, typeflag, extensions }: SparseInput): SparseForm | undefined {
  if (typeflag === 'S') {
    const start = oldGnuHeader(header)
    return { realSize: start.realSize, readMap: (input) => readOldGnuMap(start, input) }
  }
  const sparse = paxSparse(extensions.pax)
  return sparse && { realSize: sparse.realSize, readMap: (input) => readPaxMap(sparse, input) }
}

function readOldGnuMap(
  { realSize, segments: first, extended }: OldGnuHeader,
  { feed, storedSize, limits, found }: MapInput,
): void {
  const segments = [...first]
  let mapBytes = blockSize
  const finish = () => found(checked({ realSize, segments }, { storedSize, limits }))
  const takeBlock = (block: Buffer) => {
    const more = oldGnuExtension(block)
    segments.push(...more.segments)
    mapBytes += blockSize
    if (mapBytes > limits.maxSparseMapBytes)
      throw limitExceeded(`the map of the sparse file has more than ${limits.maxSparseMapBytes} bytes`)
    if (more.extended) feed.block(takeBlock)
    else finish()
  }
  if (extended) feed.block(takeBlock)
  else finish()
}

function readPaxMap({ realSize, segments }: PaxSparse, { feed, storedSize, limits, found }: MapInput): void {
  if (segments !== 'in the body') {
    found(checked({ realSize, segments }, { storedSize, limits }))
    return
  }
  const text = new SparseMapText(limits)
  const takeBlock = (block: Buffer) => {
    if (text.bytes + blockSize > storedSize) throw tarInvalid('the map of the sparse file is longer than its body')
    if (text.push(block))
      found(checked({ realSize, segments: text.segments }, { storedSize: storedSize - text.bytes, limits }))
    else feed.block(takeBlock)
  }
  feed.block(takeBlock)
}

function checked(
  map: SparseMap,
  stored: { readonly storedSize: number; readonly limits: TarLimits },
): Required<FileContent> {
  checkSparseMap(map, stored)
  return { storedSize: stored.storedSize, map }
}

export interface ContentInput {
  readonly feed: ByteFeed
  readonly handler: TarHandler
  readonly done: () => void
}

/** Passes the content on to the handler, data and holes in the order of the file. */
export function readContent({ storedSize, map }: FileContent, { feed, handler, done }: ContentInput): void {
  const take = (piece: Buffer) => handler.data(piece)
  if (map === undefined) {
    feed.run(storedSize, { take, done })
    return
  }
  const runs = map.segments.filter(({ length }) => length > 0)
  let position = 0
  let next = 0
  const holeUntil = (offset: number) => {
    if (offset > position) handler.hole(offset - position)
  }
  const nextRun = () => {
    const run = runs[next++]
    holeUntil(run?.offset ?? map.realSize)
    if (run === undefined) done()
    else {
      position = run.offset + run.length
      feed.run(run.length, { take, done: nextRun })
    }
  }
  nextRun()
}
