/** What was asked the last time, and what the answer was. */
export interface LastAnswer<A, T> {
  readonly given: A
  readonly answer: T
}

/**
 * A function that hands out its last answer again while it is asked the same. Values are the same by identity; lists are compared, because those who
 * list something make a new one each time.
 *
 * @param renew how to come to an answer from the last one, when that is less work; undefined where it cannot
 */
export function rememberLast<A extends readonly unknown[], T>(
  work: (...given: A) => T,
  renew: (last: LastAnswer<A, T>, given: A) => T | undefined = () => undefined,
): (...given: A) => T {
  let last: LastAnswer<A, T> | undefined
  return (...given) => {
    if (last === undefined || !given.every((one, at) => isSame(one, last?.given[at]))) {
      last = { given, answer: (last && renew(last, given)) ?? work(...given) }
    }
    return last.answer
  }
}

export function isSame(one: unknown, other: unknown): boolean {
  return one === other || (Array.isArray(one) && isAlike(one, other))
}

/** Plain values, part by part. */
export function isAlike(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
  if (Array.isArray(one)) return Array.isArray(other) && areAlike(one, other)
  return !Array.isArray(other) && areAlike(one, other)
}

type Parts = Readonly<Record<string, unknown>>

function areAlike(one: object, other: object): boolean {
  const keys = Object.keys(one)
  if (keys.length !== Object.keys(other).length) return false
  return keys.every((key) => Object.hasOwn(other, key) && isAlike((one as Parts)[key], (other as Parts)[key]))
}
