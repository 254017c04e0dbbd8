import { nbdLimits } from './protocol.ts'

/** What INFO and GO ask for. */
export interface ExportChoice {
  readonly name: string
  /** Kinds of information, as nbdInfo has them, or any others. */
  readonly wanted: readonly number[]
}

/** Undefined when it contradicts itself. */
export function decodeExportChoice(data: Buffer): ExportChoice | undefined {
  const name = countedText(data, 0)
  if (name === undefined || data.length < name.end + 2) return undefined
  const count = data.readUInt16BE(name.end)
  const kinds = data.subarray(name.end + 2)
  if (kinds.length !== count * 2) return undefined
  return { name: name.text, wanted: Array.from({ length: count }, (_, at) => kinds.readUInt16BE(at * 2)) }
}

/** What LIST_META_CONTEXT and SET_META_CONTEXT ask for. */
export interface MetaQuery {
  readonly name: string
  readonly queries: readonly string[]
}

/** Undefined when it contradicts itself. */
export function decodeMetaQuery(data: Buffer): MetaQuery | undefined {
  const name = countedText(data, 0)
  if (name === undefined || data.length < name.end + 4) return undefined
  const queries: string[] = []
  let at = name.end + 4
  for (let left = data.readUInt32BE(name.end); left > 0; left--) {
    const query = countedText(data, at)
    if (query === undefined) return undefined
    queries.push(query.text)
    at = query.end
  }
  return at === data.length ? { name: name.text, queries } : undefined
}

function countedText(data: Buffer, at: number): { text: string; end: number } | undefined {
  if (data.length < at + 4) return undefined
  const length = data.readUInt32BE(at)
  const end = at + 4 + length
  if (length > nbdLimits.nameBytes || end > data.length) return undefined
  return { text: data.toString('utf8', at + 4, end), end }
}
