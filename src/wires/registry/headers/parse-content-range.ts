/** Which bytes of what a 206 brings; `end` is the last byte's offset. */
export interface ContentRange {
  readonly start: number
  readonly end: number
  /** Bytes of the whole; undefined when the server does not say. */
  readonly total: number | undefined
}

/** Undefined for whatever is not a range of bytes that can exist. @see RFC 9110, section 14.4 */
export function parseContentRange(header: string): ContentRange | undefined {
  const match = /^bytes (\d{1,16})-(\d{1,16})\/(?:(\d{1,16})|\*)$/i.exec(header.trim())
  if (match === null) return undefined
  const [start, end] = [Number(match[1]), Number(match[2])]
  const total = match[3] === undefined ? undefined : Number(match[3])
  if (!Number.isSafeInteger(end) || !Number.isSafeInteger(total ?? 0)) return undefined
  if (start > end || (total !== undefined && end >= total)) return undefined
  return { start, end, total }
}
