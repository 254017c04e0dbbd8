/** Fewer bytes than this in all the time that silence is borne are silence too. */
const leastBytes = 1024

/**
 * The chunks of a body, as long as they come: a server that sends a byte now and then is given up as if it sent none. The time that the reader
 * takes for itself does not count.
 *
 * @throws what the body throws; an error with code ETIMEDOUT
 */
export async function* paced(body: AsyncIterable<Buffer>, idleMs: number): AsyncGenerator<Buffer> {
  let waitedMs = 0
  let bytes = 0
  let asked = performance.now()
  for await (const chunk of body) {
    waitedMs += performance.now() - asked
    bytes += chunk.length
    if (waitedMs >= idleMs) {
      if (bytes < leastBytes)
        throw Object.assign(new Error(`only ${bytes} bytes in ${idleMs} ms`), { code: 'ETIMEDOUT' })
      waitedMs = 0
      bytes = 0
    }
    yield chunk
    asked = performance.now()
  }
}
