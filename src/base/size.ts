import { Problem } from './problem.ts'

const units: Record<string, number> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  m: 1e6,
  mb: 1e6,
  g: 1e9,
  gb: 1e9,
  t: 1e12,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/**
 * Bytes of a size as people write it: `512`, `1.5GiB`, `20GB`. GB means 10^9 and GiB 2^30; a bare K, M, G, T is decimal.
 *
 * @throws Problem INVALID_REQUEST
 */
export function parseSize(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*$/.exec(text)
  const unit = match?.[2] === undefined ? undefined : units[match[2].toLowerCase()]
  const bytes = Math.round(Number(match?.[1]) * (unit ?? Number.NaN))
  if (unit === undefined || !Number.isSafeInteger(bytes)) {
    throw new Problem('INVALID_REQUEST', `not a size: ${JSON.stringify(text.slice(0, 40))}`, {
      hint: 'write it like 512MiB, 5GiB or 20GB',
    })
  }
  return bytes
}

/** A size for people, in decimal units with one digit: `20.1 GB`, `0 B`. */
export function formatSize(bytes: number): string {
  const names = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let value = bytes
  let unit = 0
  // 999.95 would round to 1000.0 of the smaller unit.
  while (Math.abs(value) >= 999.95 && unit < names.length - 1) {
    value /= 1000
    unit++
  }
  return unit === 0 ? `${Math.round(bytes)} B` : `${value.toFixed(1)} ${names[unit]}`
}
