import { sizeAtLeast } from './size-at-least.ts'

/** Parses bytes a second, `50MB/s` or `50MB`, that must not be fewer than so many. */
export function rateAtLeast(option: string, least: number): (text: string) => number {
  return (text) => sizeAtLeast(option, least)(text.replace(/\/s$/, ''))
}
