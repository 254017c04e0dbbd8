/**
 * The files of the AWS tools: sections in brackets, `key = value`, comments after # or ; at the start of a line. What is nested below a key is of no
 * use here and is left out.
 *
 * @see "Configuration and credential file settings", AWS SDKs and Tools reference
 */
export function parseIni(text: string): Map<string, Map<string, string>> {
  const sections = new Map<string, Map<string, string>>()
  let section: Map<string, string> | undefined
  for (const line of text.split(/\r?\n/)) {
    const [, name] = /^\[([^\]]+)\]/.exec(line) ?? []
    if (name !== undefined) {
      const key = name.trim().replace(/\s+/g, ' ')
      section = sections.get(key) ?? new Map()
      sections.set(key, section)
    }
    const [, key, value] = /^([^\s#;=[][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    if (key !== undefined && value !== undefined) section?.set(key, value)
  }
  return sections
}
