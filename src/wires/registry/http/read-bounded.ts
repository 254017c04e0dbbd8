import { Problem } from '../../../base/index.ts'
import type { HttpResponse } from './http-message.ts'
import type { Transport } from './transport.ts'

interface ReadBounded {
  readonly maxBytes: number
  /** What it is, for messages: "the manifest". */
  readonly noun: string
  readonly signal?: AbortSignal | undefined
}

/**
 * A body in memory.
 *
 * @throws Problem LIMIT_EXCEEDED when it has more than `maxBytes`; what Transport.exchange throws
 */
export async function readBounded(
  transport: Transport,
  response: HttpResponse,
  { maxBytes, noun, signal }: ReadBounded,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of transport.read(response, signal)) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new Problem('LIMIT_EXCEEDED', `${noun} has more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
