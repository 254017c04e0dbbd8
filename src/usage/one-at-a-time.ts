/** Runs one work after the other, in the order in which they come, whether the earlier ones succeed or not. */
export function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return async (work) => {
    const mine = last.then(work, work)
    last = mine.catch(() => {})
    return await mine
  }
}
