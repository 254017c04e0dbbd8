/**
 * The first bytes of a stream, and the whole stream again. The head is shorter than asked for only when the stream is.
 *
 * The stream must be consumed, or closed by leaving a loop over it.
 */
export async function peek(
  source: AsyncIterable<Buffer>,
  bytes: number,
): Promise<{ head: Buffer; all: AsyncIterable<Buffer> }> {
  const iterator = source[Symbol.asyncIterator]()
  const taken: Buffer[] = []
  let length = 0
  while (length < bytes) {
    const next = await iterator.next()
    if (next.done === true) break
    taken.push(next.value)
    length += next.value.length
  }
  const head = Buffer.concat(taken)
  return { head: head.subarray(0, bytes), all: rest(head, iterator) }
}

/** Closes a stream that will not be read. */
export async function abandon(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream) return
}

async function* rest(head: Buffer, iterator: AsyncIterator<Buffer>): AsyncIterable<Buffer> {
  try {
    if (head.length > 0) yield head
    for (;;) {
      const next = await iterator.next()
      if (next.done === true) return
      yield next.value
    }
  } finally {
    await iterator.return?.()
  }
}
