import { once } from 'node:events'
import type { Writable } from 'node:stream'

/** Writes a stream to an output that stays open, no faster than it takes it. */
export async function writeAll(output: Writable, source: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of source) {
    if (!output.write(chunk)) await once(output, 'drain')
  }
}
