import { StringDecoder } from 'node:string_decoder'
import { Problem } from '../../base/index.ts'

/** The longest, a reply of many sheds, is far from it. */
const maxLine = 128 * 2 ** 20

export interface ServerEvent {
  readonly event: string
  readonly data: string
}

/**
 * Reads a stream of server-sent events.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export async function* readServerEvents(source: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  let event = 'message'
  let data: string[] = []
  for await (const chunk of source) {
    const lines = (rest + decoder.write(Buffer.from(chunk))).split(/\r?\n/)
    rest = lines.pop() ?? ''
    if (rest.length > maxLine) throw new Problem('SERVER_FAILED', 'the server sends an event without an end')
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { event, data: data.join('\n') }
        event = 'message'
        data = []
        continue
      }
      const [field, value] = splitField(line)
      if (field === 'event') event = value
      if (field === 'data') data.push(value)
    }
  }
}

/** A line that starts with a colon is a comment: its field name is empty. */
function splitField(line: string): [string, string] {
  const colon = line.indexOf(':')
  if (colon < 0) return [line, '']
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')]
}
