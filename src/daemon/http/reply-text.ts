/**
 * A reply as JSON, as JSON.stringify has it. The text of a row is kept for as long as the row is: of a thousand sheds nearly all are the same
 * values as the last time, and to write them anew would take longer than to find out that they are. What was handed out is never changed afterwards.
 */
export function replyText(reply: unknown): string {
  const pieces: string[] = []
  if (isPlain(reply)) addObject(pieces, reply)
  else pieces.push(JSON.stringify(reply))
  // Put together once: a long text is copied with each step that makes it longer.
  return pieces.join('')
}

const texts = new WeakMap<object, string>()

function addObject(pieces: string[], reply: object): void {
  let before = '{'
  for (const [key, value] of Object.entries(reply)) {
    const name = `${before}${JSON.stringify(key)}:`
    if (Array.isArray(value)) addRows(pieces, name, value)
    else {
      const text = JSON.stringify(value)
      // As for what is no JSON: it is left out.
      if (text === undefined) continue
      pieces.push(name, text)
    }
    before = ','
  }
  pieces.push(before === '{' ? '{}' : '}')
}

function addRows(pieces: string[], name: string, rows: readonly unknown[]): void {
  pieces.push(name, '[')
  for (const [at, row] of rows.entries()) pieces.push(at === 0 ? '' : ',', rowText(row))
  pieces.push(']')
}

function rowText(row: unknown): string {
  if (!isPlain(row)) return JSON.stringify(row) ?? 'null'
  const known = texts.get(row)
  if (known !== undefined) return known
  const text = JSON.stringify(row)
  texts.set(row, text)
  return text
}

/** An object that says nothing of its own about how it is written. */
function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !('toJSON' in value)
}
