import { createHash } from 'node:crypto'
import { RecordWriter } from '../records/record-writer.ts'
import { entryTypes, indexMagic, indexVersion } from './index-format.ts'
import type { LayerContent, LayerEntry, LayerIndex, LayerSummary } from './layer-entry.ts'

const flushBytes = 1 << 20

/**
 * Writes a layer index piece by piece, so that a layer's metadata is never in memory whole.
 *
 * @see index-format.ts
 */
export class LayerIndexEncoder {
  readonly #sink: (chunk: Buffer) => void
  readonly #records = new RecordWriter()
  readonly #checksum = createHash('sha256')
  /** Bytes handed to the sink or about to be. */
  bytes = 0
  entryCount = 0

  /** @param sink takes each piece of the file in order; a piece is valid only during the call. */
  constructor(sink: (chunk: Buffer) => void) {
    this.#sink = sink
    this.#records.raw(indexMagic)
    this.#records.uint32(indexVersion)
    this.bytes = this.#records.length
  }

  add(entry: LayerEntry): void {
    const before = this.#records.length
    writeEntry(this.#records, entry)
    this.entryCount++
    this.bytes += this.#records.length - before
    if (this.#records.length >= flushBytes) this.#flush()
  }

  /** Writes the footer and the checksum; nothing may be added after it. */
  finish({ diffId, dataBlocks, warnings }: LayerSummary): void {
    this.#flush()
    this.#records.number(dataBlocks)
    this.#records.number(this.entryCount)
    this.#records.number(warnings.length)
    for (const warning of warnings) this.#records.bytes(Buffer.from(warning))
    this.#records.bytes(Buffer.from(diffId))
    this.#records.uint32(this.#records.length)
    this.bytes += this.#records.length + 32
    this.#flush()
    this.#sink(this.#checksum.digest())
  }

  #flush(): void {
    const chunk = this.#records.take()
    this.#checksum.update(chunk)
    this.#sink(chunk)
  }
}

/** A layer index as one buffer, for layers that are known to be small. */
export function encodeLayerIndex(index: Omit<LayerIndex, 'entryCount'>): Buffer {
  const chunks: Buffer[] = []
  const encoder = new LayerIndexEncoder((chunk) => chunks.push(Buffer.from(chunk)))
  for (const entry of index.entries) encoder.add(entry)
  encoder.finish(index)
  return Buffer.concat(chunks)
}

function writeEntry(out: RecordWriter, entry: LayerEntry): void {
  out.byte(entryTypes.indexOf(entry.type))
  out.bytes(entry.path)
  out.number(entry.mode)
  out.number(entry.uid)
  out.number(entry.gid)
  out.signed(entry.mtimeSeconds)
  out.number(entry.mtimeNanoseconds)
  out.number(entry.xattrs.length)
  for (const { name, value } of entry.xattrs) {
    out.bytes(Buffer.from(name, 'latin1'))
    out.bytes(value)
  }
  switch (entry.type) {
    case 'file':
      out.number(entry.size)
      writeContent(out, entry.content)
      break
    case 'hardlink':
    case 'symlink':
      out.bytes(entry.linkTarget)
      break
    case 'char':
    case 'block':
      out.number(entry.major)
      out.number(entry.minor)
      break
  }
}

function writeContent(out: RecordWriter, content: LayerContent): void {
  if (content.kind === 'inline') {
    out.byte(0)
    out.raw(content.bytes)
    return
  }
  out.byte(1)
  out.number(content.startBlock)
  out.raw(content.sha256)
}
