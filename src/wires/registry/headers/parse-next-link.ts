/** Longer than any page of tags needs. */
const maxLength = 16 * 1024

/**
 * The target of `rel="next"` in a Link header, as it is written there: mostly relative.
 *
 * @see RFC 8288; distribution-spec, "Listing tags"
 */
export function parseNextLink(header: string): string | undefined {
  if (header.length > maxLength) return undefined
  const links = /<([^<>]*)>((?:\s*;\s*[\w!#$&+.^`|~*-]+(?:\s*=\s*(?:"[^"]*"|[^\s",;<>]*))?)*)/g
  for (const [, target = '', parameters = ''] of header.matchAll(links)) {
    const rel = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;<>]*))/i.exec(parameters)
    const relations = (rel?.[1] ?? rel?.[2] ?? '').toLowerCase().split(/\s+/)
    if (relations.includes('next') && target !== '') return target
  }
  return undefined
}
