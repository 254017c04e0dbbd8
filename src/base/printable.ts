/**
 * What acts on a terminal or hides in text: control characters, what turns the direction of text around or says so, separators of lines,
 * invisible characters that nothing is written with, lone surrogates. The joiners U+200C and U+200D stay: emoji and several scripts need them.
 */
const unsafe =
  /[\u0000-\u001f\u007f-\u009f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

/**
 * Text that may come from an image or a guest, made safe to show on a terminal: control characters, escape sequences, bidirectional
 * overrides, invisible characters and lone surrogates become visible `\xNN` or `\u{…}` escapes.
 */
export function printable(text: string): string {
  return text.replace(unsafe, (character) => {
    const code = character.codePointAt(0) ?? 0
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
  })
}

/**
 * JSON text that says the same, safe to show on a terminal. JSON itself lets the control characters U+007F to U+009F and everything that
 * turns text around stand in its strings. Line breaks and tabs stay, which JSON has only outside of strings; a carriage return, which would
 * let a line be written over, becomes a line break.
 */
export function printableJson(json: string): string {
  return json.replace(unsafe, (characters) => {
    if (characters === '\n' || characters === '\t') return characters
    if (characters === '\r') return '\n'
    return Array.from({ length: characters.length }, (_, at) => escaped(characters.charCodeAt(at))).join('')
  })
}

/** A UTF-16 unit as JSON escapes it. */
function escaped(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`
}

/** Bytes of a path or name for people: UTF-8 where it is UTF-8, `\xNN` for every other byte. */
export function printableBytes(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  if (!text.includes('\ufffd')) return printable(text)
  let out = ''
  for (const byte of bytes) {
    out += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return out
}
