import { formatSize, Problem, parseSize } from '../../base/index.ts'

/** Parses a size that must not be smaller than so many bytes. */
export function sizeAtLeast(option: string, least: number): (text: string) => number {
  return (text) => {
    const bytes = parseSize(text)
    if (bytes >= least) return bytes
    throw new Problem('INVALID_REQUEST', `${option} ${JSON.stringify(text)} is too small`, {
      hint: `at least ${least / 2 ** 20}MiB (${formatSize(least)})`,
    })
  }
}
