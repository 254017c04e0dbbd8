/** What a server wants to see before it answers: `Bearer realm="…",service="…"`. */
export interface Challenge {
  /** In lower case. */
  readonly scheme: string
  /** Names in lower case; the first of each counts. */
  readonly parameters: ReadonlyMap<string, string>
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const separators = /[\s,]*/y
const parameter = new RegExp(`(${token})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))`, 'y')
const scheme = new RegExp(token, 'y')
/** Credentials in one piece, `Negotiate abc==`: nothing that registries use, but it must not be taken for a scheme. */
const token68 = /[ ]+[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y

/** Challenges are short; what is longer is no challenge. */
const maxLength = 16 * 1024

/**
 * The challenges of a WWW-Authenticate header, several of them joined with commas. What cannot be understood ends the list.
 *
 * @see RFC 9110, section 11.6.1
 */
export function parseChallenges(header: string): Challenge[] {
  const found: { scheme: string; parameters: Map<string, string> }[] = []
  if (header.length > maxLength) return found
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(header)
    if (match !== null) at = pattern.lastIndex
    return match
  }
  for (;;) {
    take(separators)
    const current = found.at(-1)
    const pair = current === undefined ? null : take(parameter)
    if (pair !== null) {
      const [, name = '', quoted, bare = ''] = pair
      const key = name.toLowerCase()
      if (current?.parameters.has(key) === false) {
        current.parameters.set(key, quoted === undefined ? bare : quoted.replace(/\\(.)/g, '$1'))
      }
      continue
    }
    const next = take(scheme)
    if (next === null) return found
    found.push({ scheme: next[0].toLowerCase(), parameters: new Map() })
    take(token68)
  }
}
