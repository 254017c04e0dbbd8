import { StringDecoder } from 'node:string_decoder'

/** A line that never ends is cut into pieces of so many characters. */
const maxLine = 8192
const keptBytes = 64 * 1024

/**
 * Tells each line of an output as it comes, without its line break; a carriage return ends one too, as in the bars that programs draw.
 *
 * @returns the end of the output: the chunks that hold at least its last 64 KiB
 */
export function readLines(pipe: NodeJS.ReadableStream, onLine: (line: string) => void): Buffer[] {
  const decoder = new StringDecoder('utf8')
  const kept: Buffer[] = []
  let bytes = 0
  let rest = ''
  const tell = (text: string): void => {
    for (let at = 0; at < text.length; at += maxLine) onLine(text.slice(at, at + maxLine))
  }
  pipe.on('data', (chunk: Buffer) => {
    kept.push(chunk)
    bytes += chunk.length
    for (let first = kept[0]; first !== undefined && bytes - first.length >= keptBytes; first = kept[0]) {
      bytes -= first.length
      kept.shift()
    }
    const lines = (rest + decoder.write(chunk)).split(/[\r\n]+/)
    rest = lines.pop() ?? ''
    for (const line of lines) tell(line)
    if (rest.length > maxLine) {
      tell(rest)
      rest = ''
    }
  })
  pipe.on('end', () => tell(rest + decoder.end()))
  return kept
}
