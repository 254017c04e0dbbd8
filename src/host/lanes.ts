import { availableParallelism } from 'node:os'

/** More would keep the threads of the pool, of which there are four, from everybody else. */
const maxLanes = 3

export interface Lane {
  free(): void
}

export interface InLanes<L extends Lane, T, R> {
  readonly open: () => L
  /** One at a time in each lane. What it gives is the consumer's until that asks for the next. */
  readonly work: (lane: L, item: T) => Promise<R>
}

/**
 * Does the same with each item, several at a time, and gives the results in the order of the items.
 *
 * @throws whatever `source`, `open` or `work` throws
 */
export async function* inLanes<L extends Lane, T, R>(
  source: AsyncIterable<T>,
  { open, work }: InLanes<L, T, R>,
): AsyncGenerator<R, void, undefined> {
  const lanes: L[] = []
  const pending: Promise<R>[] = []
  try {
    for (let i = 0; i < Math.min(maxLanes, availableParallelism()); i++) lanes.push(open())
    let at = 0
    for await (const item of source) {
      // The one that has waited longest is the one whose lane is next.
      if (pending.length === lanes.length) yield* first(pending)
      const lane = lanes[at++ % lanes.length]
      if (lane !== undefined) pending.push(begin(work(lane, item)))
    }
    while (pending.length > 0) yield* first(pending)
  } finally {
    await Promise.allSettled(pending)
    for (const lane of lanes) lane.free()
  }
}

/** One that fails before its turn is no unhandled rejection: it is looked at when its turn comes. */
function begin<R>(begun: Promise<R>): Promise<R> {
  begun.catch(() => {})
  return begun
}

/** It stays among those that are waited for until it has ended. */
async function* first<R>(pending: Promise<R>[]): AsyncGenerator<R> {
  const [waited] = pending
  if (waited === undefined) return
  const result = await waited
  pending.shift()
  yield result
}
