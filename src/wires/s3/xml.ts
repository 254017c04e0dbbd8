/**
 * As much of XML as S3 answers with: elements without attributes that matter, text, and the five entities. No document type, no entity of its own is
 * looked at.
 */

/** The text of the first element of a name. */
export function textOf(xml: string, name: string): string | undefined {
  const [first] = elementsOf(xml, name)
  return first === undefined ? undefined : unescapeXml(first)
}

/** What is between the tags of every element of a name; such elements are not in one another. */
export function elementsOf(xml: string, name: string): string[] {
  const found: string[] = []
  const [open, close] = [`<${name}>`, `</${name}>`]
  for (let at = xml.indexOf(open); at !== -1; ) {
    const start = at + open.length
    const end = xml.indexOf(close, start)
    if (end === -1) break
    found.push(xml.slice(start, end))
    at = xml.indexOf(open, end + close.length)
  }
  return found
}

function unescapeXml(text: string): string {
  return text.replace(/&(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));/g, (whole, name, decimal, hex) => {
    if (name !== undefined) return entities[String(name)] ?? whole
    const code = decimal === undefined ? Number.parseInt(String(hex), 16) : Number(decimal)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }
