import { formatDuration, Problem, parseDuration } from '../../base/index.ts'
import { type LazyReading, shortestFailAfterMs, smallestRate } from '../../contract/index.ts'
import { rateAtLeast } from './rate-at-least.ts'

/** How an image is read that is not all here. */
export interface LazyOptions {
  /** True when no rate was said. */
  readonly fill?: LazyReading['fill']
  readonly failAfter?: LazyReading['fail_after_ms']
}

const rateOf = rateAtLeast('--fill', smallestRate)

/** `never`, or a rate. @throws Problem INVALID_REQUEST */
export function fillOf(text: string): LazyReading['fill'] {
  return text === 'never' ? false : rateOf(text)
}

/** @throws Problem INVALID_REQUEST */
export function failAfterOf(text: string): LazyReading['fail_after_ms'] {
  if (text === 'never') return text
  const milliseconds = parseDuration(text)
  if (milliseconds >= shortestFailAfterMs) return milliseconds
  throw new Problem('INVALID_REQUEST', `${text} is too short: ${formatDuration(shortestFailAfterMs)} is the least`, {
    hint: 'say `never` if reads are to wait for as long as it takes',
  })
}

/** What they say, as requests have it; undefined when they say nothing. */
export function lazyRequest({ fill, failAfter }: LazyOptions): Partial<LazyReading> | undefined {
  if (fill === undefined && failAfter === undefined) return undefined
  return {
    ...(fill === undefined ? {} : { fill }),
    ...(failAfter === undefined ? {} : { fail_after_ms: failAfter }),
  }
}
