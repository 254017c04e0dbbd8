/**
 * Does something with every item, so many at a time. After the first failure no new one is begun; it is thrown when those under way have ended,
 * so that nothing goes on behind the caller's back.
 */
export async function forEachAtOnce<T>(
  items: readonly T[],
  atOnce: number,
  action: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = items.values()
  let failed: { readonly error: unknown } | undefined
  const lane = async () => {
    for (const item of waiting) {
      if (failed !== undefined) return
      try {
        await action(item)
      } catch (error) {
        failed ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, atOnce) }, lane))
  if (failed !== undefined) throw failed.error
}
