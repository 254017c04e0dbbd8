/**
 * Does something for each of many, at most so many at the same time. After the first failure nothing new is begun, and it is thrown when all that was
 * begun has ended.
 */
export async function inParallel<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  let failed = false
  const worker = async () => {
    try {
      while (!failed) {
        const next = await iterator.next()
        if (next.done === true) return
        await work(next.value)
      }
    } catch (error) {
      failed = true
      throw error
    }
  }
  const results = await Promise.allSettled(Array.from({ length: limit }, worker))
  await iterator.return?.()
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
