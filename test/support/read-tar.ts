import { type TarEntry, type TarLimits, TarReader } from '../../src/formats/index.ts'

export interface ReadMember {
  readonly entry: TarEntry
  readonly content: Buffer
  /** Bytes that came as holes. */
  readonly holeBytes: number
}

export interface ReadTarOptions {
  /** Lengths of the chunks that are pushed, again and again in turn; the whole archive at once unless told. */
  readonly chunks?: readonly number[]
  readonly limits?: Partial<TarLimits>
}

/** Reads a whole archive into memory, and sees to it that the reader keeps to the order of its calls. */
export function readTar(archive: Buffer, { chunks = [archive.length], limits = {} }: ReadTarOptions = {}) {
  const members: ReadMember[] = []
  const warnings: string[] = []
  let open: { entry: TarEntry; pieces: Buffer[]; holeBytes: number } | undefined
  const current = () => {
    if (open === undefined) throw new Error('content came outside of a member')
    return open
  }
  const reader = new TarReader(
    {
      entry(entry) {
        if (open !== undefined) throw new Error('a member began within another')
        open = { entry, pieces: [], holeBytes: 0 }
      },
      data(chunk) {
        if (chunk.length === 0) throw new Error('a piece of content was empty')
        current().pieces.push(Buffer.from(chunk))
      },
      hole(bytes) {
        if (bytes <= 0) throw new Error('a hole was empty')
        current().pieces.push(Buffer.alloc(bytes))
        current().holeBytes += bytes
      },
      entryEnd() {
        const { entry, pieces, holeBytes } = current()
        const content = Buffer.concat(pieces)
        if (content.length !== entry.size) throw new Error(`${content.length} bytes came of ${entry.size}`)
        members.push({ entry, content, holeBytes })
        open = undefined
      },
      warning(message) {
        warnings.push(message)
      },
    },
    limits,
  )
  for (const chunk of cut(archive, chunks)) reader.write(chunk)
  reader.end()
  if (open !== undefined) throw new Error('the reader accepted an archive that ends within a member')
  return { members, warnings }
}

/** The bytes in chunks of the given lengths, in turn. Each chunk is memory of its own that is spoilt once the next one is asked for. */
export function* cut(bytes: Buffer, lengths: readonly number[]): Generator<Buffer> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = Math.max(1, lengths[i % lengths.length] ?? bytes.length)
    const chunk = Buffer.from(bytes.subarray(at, at + length))
    yield chunk
    chunk.fill(0xee)
    at += length
  }
}
